// SPDX-License-Identifier: Apache-2.0
// Inside of framework/image/resize: the fixed-point weights of one axis and the kernels that apply them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "framework/image/resize.h"

namespace retain::framework::resizing {

/// Fractional bits of a weight: 32 less 8 for the pixel and 2 for overshoot.
inline constexpr int weight_bits = 32 - 8 - 2;

/// For every output position, which input positions it mixes and how much of each.
struct AxisWeights {
  struct Window {
    std::int64_t first;  ///< input position of the first weight
    std::int64_t count;
    std::size_t offset;  ///< of its weights
  };
  std::vector<Window> windows;
  std::vector<std::int32_t> weights;
};

AxisWeights axis_weights(std::int64_t in_size, std::int64_t out_size, ResizeFilter filter);

/// Bytes that mix() handles at once: 16 pixels of 3 channels.
inline constexpr std::int64_t mix_lanes = 48;

/// out[lane] = clamp((Σ_t weights[t] · in[t · stride + lane] + half) >> weight_bits) for mix_lanes lanes.
void mix(const std::uint8_t* in, std::ptrdiff_t stride, const std::int32_t* weights, std::int64_t count,
         std::uint8_t* out);

/// out[j · out_stride + i] = in[i · in_stride + j] for i, j < 16.
void transpose_16(const std::uint8_t* in, std::ptrdiff_t in_stride, std::uint8_t* out, std::ptrdiff_t out_stride);

}  // namespace retain::framework::resizing
