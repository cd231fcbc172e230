// SPDX-License-Identifier: Apache-2.0
// Activation recomputation (Chen et al. 2016): trade a second forward pass for memory.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace retain::models {

using Computation = std::function<at::Tensor(const at::Tensor&)>;

/// part(x), of which only x is kept; the backward pass runs `part` again with gradients on. `trained`: the parameters inside
/// `part` that require a gradient. `part` must be deterministic, may contain collectives (every rank of the group must
/// recompute in the same order, as identical graphs do), and is kept until the backward pass.
at::Tensor recompute(Computation part, const at::Tensor& x, const std::vector<at::Tensor>& trained);

}  // namespace retain::models
