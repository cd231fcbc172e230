// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalisation (Zhang and Sennrich 2019) as Qwen2 and Llama apply it.
#pragma once
#include <ATen/core/Tensor.h>

namespace retain::models {

/// y_TH = x_TH / sqrt(mean_H(x²) + eps) · weight_H, computed in float32 and rounded once; float32 or bfloat16, one dtype
/// for both. Differentiable; the weight's gradient is computed only when it is trained, and x is kept only when some
/// gradient is needed.
at::Tensor rms_norm(const at::Tensor& x_TH, const at::Tensor& weight_H, double eps);

}  // namespace retain::models
