// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al. 2021) in the "rotate half" arrangement of Hugging Face transformers: feature i of
// the first half of a head turns together with feature i of the second half.
// Shape suffixes: T packed tokens, N heads, D head size, C = D/2.
#pragma once
#include <ATen/core/Tensor.h>

namespace retain::models {

/// Cosine and sine of position · theta^(−2i/D) for every token of a micro-batch; shared by all layers.
struct RotaryTable {
  at::Tensor cosine_TC;  ///< float32
  at::Tensor sine_TC;    ///< float32
};

/// `positions_T` int64; `head_size` even. Frequencies are rounded to float32 as transformers does.
RotaryTable rotary_table(const at::Tensor& positions_T, std::int64_t head_size, double theta);

/// x_TND turned by the table, in float32 and rounded once; x is float32 or bfloat16. Differentiable (turns gradients back).
at::Tensor rotate(const at::Tensor& x_TND, const RotaryTable& table);

}  // namespace retain::models
