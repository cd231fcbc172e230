// SPDX-License-Identifier: Apache-2.0
// Nonlinearities of MLPs.
#pragma once
#include <ATen/core/Tensor.h>

#include "models/lmm/config.h"

namespace retain::models {

/// y = silu(gate) · up with silu(x) = x·sigmoid(x) (Shazeer 2020), one pass each way; any equal shapes, float32 or bfloat16,
/// computed in float32 and rounded once. Differentiable; keeps gate and up only when a gradient is needed.
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);

/// An activation by name, element by element, differentiable.
at::Tensor activate(Activation kind, const at::Tensor& x);

}  // namespace retain::models
