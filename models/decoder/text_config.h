// SPDX-License-Identifier: Apache-2.0
// Decoders' configurations, as transformers writes them.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"

namespace retain::models {

/// The decoder that `model_type` names (`fallback` where the field is absent), which has to be one of `allowed`:
/// "qwen2", "llama" or "mistral". Defaults of absent fields as in transformers' configuration classes. Throws
/// Error(config_invalid, config_unsupported) naming the field.
TextConfig read_text_config(const ConfigFields& fields, std::span<const std::string_view> allowed,
                            std::string_view fallback);

/// The same for a file whose `model_type` is the whole model's: `kind` is one of those above.
TextConfig read_decoder(const ConfigFields& fields, std::string_view kind);

/// `eos_token_id`; where it is absent, the one that the class of `kind` has.
std::vector<std::int64_t> read_end_tokens(const ConfigFields& fields, std::string_view kind);

}  // namespace retain::models
