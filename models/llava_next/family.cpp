// SPDX-License-Identifier: Apache-2.0
#include "models/llava_next/family.h"

#include <array>

#include "models/llava/encoder.h"
#include "models/llava/names.h"
#include "models/llava/pictures.h"
#include "models/llava/table.h"
#include "models/llava_next/config.h"
#include "models/llava_next/hub_files.h"

namespace retain::models::llava_next {
namespace {

constexpr std::array<ConfigStyle, 4> kStyles{{
    {"LlavaNextForConditionalGeneration", "llava_next", read_transformers_config},
    {"LlavaLlamaForCausalLM", "llava_llama", read_original_llama, merges_tiles},
    {"LlavaLlamaForCausalLM", "llava", read_original_llama, merges_tiles},
    {"LlavaMistralForCausalLM", "llava_mistral", read_original_mistral},
}};

/// LLaMA-3's tokenizer marks turns with special tokens of its own; Vicuna and Mistral share LLaMA-2's kind, without
/// any.
std::string_view chat_template(const LmmConfig& config, const framework::Tokenizer& tokenizer) {
  if (tokenizer.id_of("<|start_header_id|>")) return "llama_3";
  return config.text.kind == "mistral" ? "mistral" : "vicuna";
}

}  // namespace

constinit const Family kFamily{.name = "llava_next",
                               .styles = kStyles,
                               .namings = llava::kNamings,
                               .chat_template = chat_template,
                               .add_vision_rows = llava::add_vision_rows,
                               .vision_cost = llava::vision_cost,
                               .make_encoder = llava::make_encoder,
                               .make_pictures = llava::make_pictures,
                               .hub_files = hub_files};

}  // namespace retain::models::llava_next
