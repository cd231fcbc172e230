// SPDX-License-Identifier: Apache-2.0
#include "models/llava_1_5/family.h"

#include <array>

#include "models/llava/encoder.h"
#include "models/llava/names.h"
#include "models/llava/pictures.h"
#include "models/llava/table.h"
#include "models/llava_1_5/config.h"
#include "models/llava_1_5/hub_files.h"

namespace retain::models::llava_1_5 {
namespace {

constexpr std::array<ConfigStyle, 3> kStyles{{
    {"LlavaForConditionalGeneration", "llava", read_transformers_config, is_transformers},
    {"LlavaLlamaForCausalLM", "llava_llama", read_original_config, is_original},
    {"LlavaLlamaForCausalLM", "llava", read_original_config, is_original},
}};

std::string_view chat_template(const LmmConfig&, const framework::Tokenizer&) {
  return "vicuna";
}

}  // namespace

constinit const Family kFamily{.name = "llava_1_5",
                               .styles = kStyles,
                               .namings = llava::kNamings,
                               .chat_template = chat_template,
                               .add_vision_rows = llava::add_vision_rows,
                               .vision_cost = llava::vision_cost,
                               .make_encoder = llava::make_encoder,
                               .make_pictures = llava::make_pictures,
                               .hub_files = hub_files};

}  // namespace retain::models::llava_1_5
