// SPDX-License-Identifier: Apache-2.0
// From a source of weights back to a Hugging Face directory.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "framework/store/tensor_source.h"
#include "models/lmm/config.h"
#include "models/weights/model_writer.h"

namespace retain::models {

struct ExportOptions {
  /// Tensor names: "hub", "hf", "v4_52", "memory" or "orig"; empty: those that go with config.json (LmmConfig::naming).
  std::string naming;
  std::int64_t shard_bytes = 5'000'000'000;  ///< largest file; a tensor above it gets one of its own
};

/// Writes every tensor bit for bit as `source` has it, in its stored dtype, with `files` beside them. A model of the
/// original LLaVA codebase asked for in a transformers naming gets the hub's configuration and processor file in place
/// of its own; the reverse is Error(usage). Throws Error(usage) when `directory` is not empty, Error(io), and what
/// reading throws.
void export_model(const framework::TensorSource& source, const LmmConfig& config, const SmallFiles& files,
                  const std::filesystem::path& directory, const ExportOptions& options = {});

}  // namespace retain::models
