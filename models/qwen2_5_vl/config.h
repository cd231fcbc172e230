// SPDX-License-Identifier: Apache-2.0
// Qwen2.5-VL's config.json in its two shapes: the decoder's fields at the top (the hub's files, transformers 4) or in
// text_config (transformers 4.52 and later, 5).
#pragma once
#include <filesystem>

#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"

namespace retain::models::qwen2_5_vl {

/// Defaults of absent fields as in transformers' Qwen2_5_VLConfig. Throws Error(config_invalid, config_unsupported)
/// naming the field.
LmmConfig read_config(const ConfigFields& fields, const std::filesystem::path& directory);

}  // namespace retain::models::qwen2_5_vl
