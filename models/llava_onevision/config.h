// SPDX-License-Identifier: Apache-2.0
// LLaVA-OneVision's config.json in its two shapes: transformers' (nested text_config and vision_config; version 4 and 5
// spell the rotary base and the dtype differently) and the original LLaVA codebase's (flat, mm_* fields).
#pragma once
#include <filesystem>

#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"

namespace retain::models::llava_onevision {

/// Defaults of absent fields as in transformers' LlavaOnevisionConfig, Qwen2Config and SiglipVisionConfig.
LmmConfig read_transformers_config(const ConfigFields& fields, const std::filesystem::path& directory);

/// The vision tower's own configuration comes from the folder `mm_vision_tower` names (relative to `directory`, or
/// absolute) or, for a hub id, from a table of known towers.
LmmConfig read_original_config(const ConfigFields& fields, const std::filesystem::path& directory);

}  // namespace retain::models::llava_onevision
