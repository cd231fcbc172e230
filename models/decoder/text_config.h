// SPDX-License-Identifier: Apache-2.0
// Decoders' configurations, as transformers writes them.
#pragma once
#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"

namespace retain::models {

/// A Qwen2 decoder; defaults of absent fields as in transformers' Qwen2Config.
/// Throws Error(config_invalid, config_unsupported) naming the field.
TextConfig read_qwen2(const ConfigFields& fields);

}  // namespace retain::models
