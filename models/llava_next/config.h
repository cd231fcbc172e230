// SPDX-License-Identifier: Apache-2.0
// LLaVA-NeXT's config.json in its two shapes: transformers' (nested text_config and vision_config) and the original
// LLaVA codebase's (flat, mm_* fields), which LLaVA-1.5 shares.
#pragma once
#include <filesystem>

#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"

namespace retain::models::llava_next {

/// Defaults of absent fields as in transformers' LlavaNextConfig, LlamaConfig, MistralConfig and CLIPVisionConfig.
LmmConfig read_transformers_config(const ConfigFields& fields, const std::filesystem::path& directory);

/// With a LLaMA or a Mistral decoder.
LmmConfig read_original_llama(const ConfigFields& fields, const std::filesystem::path& directory);
LmmConfig read_original_mistral(const ConfigFields& fields, const std::filesystem::path& directory);
/// True where the tiles of a picture are put together again, which LLaVA-1.5 does not do.
bool merges_tiles(const ConfigFields& fields);

}  // namespace retain::models::llava_next
