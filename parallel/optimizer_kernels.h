// SPDX-License-Identifier: Apache-2.0
// Fused loops of the optimizer over flat memory, on all threads, with results that do not depend on their number.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace retain::parallel {

/// One AdamW update in numbers (Loshchilov & Hutter, arXiv 1711.05101, as torch.optim.AdamW computes it):
///   p ← p · decay;  m ← m + (1-β1)(g-m);  v ← β2 v + (1-β2) g²;  p ← p - step · m / (√v / root + ε)
struct AdamWUpdate {
  float gradient_scale = 1;  ///< g = gradient_scale · gradient
  float decay = 1;           ///< 1 - learning rate · weight decay
  float one_minus_beta1 = 0.1F;
  float beta2 = 0.999F;
  float one_minus_beta2 = 0.001F;
  float step = 0;            ///< learning rate / (1 - β1^t)
  float root = 1;            ///< √(1 - β2^t)
  float epsilon = 1e-8F;
};

/// Updates flat contiguous tensors of equal length in place. `parameter`, `gradient`, `first`, `second`: float32 or
/// bfloat16 each. `master`: float32, or undefined; where defined it is updated and `parameter` is its rounding.
/// Arithmetic is float32. Throws Error(internal) on other dtypes or lengths.
void adamw_update(const at::Tensor& parameter, const at::Tensor& master, const at::Tensor& first,
                  const at::Tensor& second, const at::Tensor& gradient, const AdamWUpdate& update);

/// Σ x² of a flat contiguous float32 or bfloat16 tensor in float64; NaN or infinity when an element is.
double sum_of_squares(const at::Tensor& values);

}  // namespace retain::parallel
