// SPDX-License-Identifier: Apache-2.0
#include "models/llava_onevision/family.h"

#include <array>

#include "models/llava/encoder.h"
#include "models/llava/names.h"
#include "models/llava/pictures.h"
#include "models/llava/table.h"
#include "models/llava_onevision/config.h"
#include "models/llava_onevision/hub_files.h"

namespace retain::models::llava_onevision {
namespace {

constexpr std::array<ConfigStyle, 2> kStyles{{
    {"LlavaOnevisionForConditionalGeneration", "llava_onevision", read_transformers_config},
    {"LlavaQwenForCausalLM", "llava_qwen", read_original_config},
}};

std::string_view chat_template(const LmmConfig&, const framework::Tokenizer&) {
  return "qwen_1_5";
}

}  // namespace

constinit const Family kFamily{.name = "llava_onevision",
                               .styles = kStyles,
                               .namings = llava::kNamings,
                               .chat_template = chat_template,
                               .add_vision_rows = llava::add_vision_rows,
                               .vision_cost = llava::vision_cost,
                               .make_encoder = llava::make_encoder,
                               .make_pictures = llava::make_pictures_and_videos,
                               .hub_files = hub_files};

}  // namespace retain::models::llava_onevision
