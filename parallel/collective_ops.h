// SPDX-License-Identifier: Apache-2.0
// Collectives as differentiable functions, for layers cut over the tensor axis. With a group of one rank each returns
// its input. Where the input needs no gradient nothing is recorded, and backward sends nothing.
// Groups must outlive the backward pass. Reference: Shoeybi et al. 2019 (Megatron-LM), functions f and g.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/comm/communicator.h"

namespace retain::parallel {

/// Forward: identity. Backward: the gradient summed over the group. Stands before a column-parallel layer.
at::Tensor copy_to_tensor_group(const at::Tensor& x, Communicator& group);

/// Forward: sum over the group (a new tensor). Backward: identity. Stands after a row-parallel layer.
at::Tensor reduce_from_tensor_group(const at::Tensor& x, Communicator& group);

/// Forward: the ranks' slices concatenated along `dim`; rank r holds sizes[r] of it. Backward: this rank's slice of
/// the gradient, which must be the same on all ranks.
at::Tensor gather_from_tensor_group(const at::Tensor& x, std::int64_t dim, const std::vector<std::int64_t>& sizes,
                                    Communicator& group);

/// Forward: this rank's slice of `x` (the same on all ranks) along `dim`. Backward: the slices' gradients gathered.
at::Tensor split_to_tensor_group(const at::Tensor& x, std::int64_t dim, const std::vector<std::int64_t>& sizes,
                                 Communicator& group);

/// The sizes of `total` elements cut into size() nearly equal runs; the first total % size() get one more.
std::vector<std::int64_t> even_sizes(std::int64_t total, int parts);

}  // namespace retain::parallel
