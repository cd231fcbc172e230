// SPDX-License-Identifier: Apache-2.0
// From a source of weights (a model directory, a stage of a store, a blend) to the parameters one rank holds.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "framework/store/tensor_source.h"
#include "models/lmm/config.h"
#include "parallel/parameter.h"

namespace retain::models {

/// A whole tensor, new and contiguous, of the stored dtype.
at::Tensor read_tensor(const framework::TensorSource& source, const std::string& name);

/// Compares a source with a table: Error checkpoint_missing_tensor, checkpoint_surplus_tensor,
/// checkpoint_shape_mismatch, each naming the tensors; config_unsupported where weights are not floating-point numbers.
void check_source(const framework::TensorSource& source, const parallel::ParameterTable& table);

/// Reads every tensor once and throws Error(checkpoint_non_finite) naming the first that holds NaN or infinity, with
/// its flat index. Tensors [part, part + parts, part + 2·parts, …] only, so that ranks can share the work.
void check_finite(const framework::TensorSource& source, const parallel::ParameterTable& table, int parts = 1,
                  int part = 0);

/// Flat index of the first NaN or infinity of a contiguous floating-point tensor; -1 when there is none.
std::int64_t first_non_finite(const at::Tensor& tensor);

struct LoadOptions {
  bool check_finite = false;  ///< look for NaN and infinity in what this rank reads
};

/// The parameters of a rank: its slices of the tensors its pipeline stage holds, converted to each row's dtype, none of
/// them requiring a gradient. Reads no other bytes, several tensors at once, straight to their places: beside the
/// parameters it holds at most a few pieces of 32 MiB (or slices of a matrix whose rows are cut) that are being
/// converted. Throws as check_source (which it calls) and, with check_finite, as check_finite does.
parallel::ParameterSet load_parameters(const framework::TensorSource& source, const parallel::ParameterTable& table,
                                       int tensor_rank, int pipeline_stage, const LoadOptions& options = {});

/// The same from a model directory.
parallel::ParameterSet load_parameters(const std::filesystem::path& directory, const LmmConfig& config,
                                       const parallel::ParameterTable& table, int tensor_rank, int pipeline_stage,
                                       const LoadOptions& options = {});

}  // namespace retain::models
