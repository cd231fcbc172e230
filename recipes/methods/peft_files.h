// SPDX-License-Identifier: Apache-2.0
// LoRA adapters in the format of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors, whose tensors are
// called base_model.model.MODULE.lora_A.weight and …lora_B.weight by the modules' names in memory.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "framework/store/tensor_source.h"
#include "models/lmm/config.h"
#include "parallel/parameter.h"

namespace retain::recipes {

struct PeftSettings {
  std::int64_t rank = 8;
  double alpha = 8;
  double dropout = 0;
  bool rank_stabilised = false;
};

/// Throws Error(io) and Error(config_invalid) for a file that is none; Error(config_unsupported) for adapters other than plain
/// LoRA (DoRA, biases, modules saved whole, ranks that differ by layer) and for those that go with other base weights (PiSSA, …).
PeftSettings read_peft_settings(const std::filesystem::path& folder);

/// Holds the names and shapes of the folder's tensors against the adapters' `rows`, one each. Throws
/// Error(checkpoint_missing_tensor), Error(checkpoint_surplus_tensor) for what no row is, and Error(checkpoint_shape_mismatch).
void check_peft_tensors(const std::filesystem::path& folder, const models::LmmConfig& config,
                        const std::vector<parallel::ParameterSpec>& rows);

/// A whole adapter tensor as float32, found by its layer's canonical name under any of the families' namings. Throws
/// Error(checkpoint_missing_tensor), and Error(checkpoint_shape_mismatch) where it does not fit `row`.
at::Tensor read_peft_tensor(const std::filesystem::path& folder, const models::LmmConfig& config, const parallel::ParameterSpec& row);

/// Hexadecimal digest of both files' bytes.
std::string peft_digest(const std::filesystem::path& folder);

/// Writes the adapters among the tensors of `source`. `folder` must be absent or empty. Throws Error(usage) when it is not or
/// the source has no adapter, Error(io).
void write_peft(const framework::TensorSource& source, const models::LmmConfig& config, const PeftSettings& settings,
                const std::string& base_model, const std::filesystem::path& folder);

}  // namespace retain::recipes
