// SPDX-License-Identifier: Apache-2.0
// LLaVA-1.5's config.json in its two shapes: transformers' (nested text_config and vision_config) and the original
// LLaVA codebase's (flat, mm_* fields), whose architecture's name LLaVA-NeXT shares.
#pragma once
#include <filesystem>

#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"

namespace retain::models::llava_1_5 {

/// Defaults of absent fields as in transformers' LlavaConfig, LlamaConfig and CLIPVisionConfig.
LmmConfig read_transformers_config(const ConfigFields& fields, const std::filesystem::path& directory);
/// `image_aspect_ratio` "pad" pads pictures to squares; "square" or none crops their middle.
LmmConfig read_original_config(const ConfigFields& fields, const std::filesystem::path& directory);

/// True for the original codebase's files of this model, and for transformers'.
bool is_original(const ConfigFields& fields);
bool is_transformers(const ConfigFields& fields);

}  // namespace retain::models::llava_1_5
