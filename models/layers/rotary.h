// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al. 2021) in the "rotate half" arrangement of Hugging Face transformers: feature i
// of the first half of a head turns together with feature i of the second half. Shape suffixes: T packed tokens, N
// heads, D head size, C = D/2.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "models/lmm/config.h"

namespace retain::models {

/// What decides the angles: frequency i is theta^(−2i/D), scaled.
struct RotarySettings {
  std::int64_t head_size = 0;  ///< D, even
  double theta = 10000.0;
  /// Multimodal positions (M-RoPE, Wang et al. 2024, Qwen2-VL): how many of the C frequencies, from the first on, turn by a
  /// token's frame, then by its row, then by its column.
  std::vector<std::int64_t> sections;
  std::optional<RopeScaling> scaling;
};

/// Cosine and sine of position · frequency for every token of a micro-batch; shared by all layers.
struct RotaryTable {
  at::Tensor cosine_TC;  ///< float32
  at::Tensor sine_TC;    ///< float32
};

/// `positions_T` int64, [T] or, with `sections`, [3,T]: frame, row and column of every token. Frequencies are computed in float32
/// as transformers does. Throws Error(config_unsupported) for an odd head size.
RotaryTable rotary_table(const at::Tensor& positions_T, const RotarySettings& settings);

/// x_TND turned by the table, in float32 and rounded once; x is float32 or bfloat16. Differentiable (turns gradients
/// back).
at::Tensor rotate(const at::Tensor& x_TND, const RotaryTable& table);

}  // namespace retain::models
