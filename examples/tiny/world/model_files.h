// SPDX-License-Identifier: Apache-2.0
// The tiny model's directory without weights: configuration, tokenizer and preprocessing.
#pragma once
#include <filesystem>

#include "examples/tiny/world/tokenizer_file.h"

namespace retain::tiny {

/// Writes config.json, generation_config.json, preprocessor_config.json, tokenizer_config.json and tokenizer.json.
/// Throws Error(io).
void write_model_files(const std::filesystem::path& directory, const TokenizerBuilder& tokenizer);

}  // namespace retain::tiny
