// SPDX-License-Identifier: Apache-2.0
// Weights as Pillow computes them (doubles, then rounding to fixed point) and the vector kernels.
#include "framework/image/resize_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace retain::framework::resizing {
namespace {

struct Kernel {
  double support;
  double (*value)(double);
};

double triangle(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

/// Keys' cubic with a = -1/2.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

std::int32_t to_fixed(double weight) {
  const double scaled = weight * (1 << weight_bits);
  return static_cast<std::int32_t>(scaled + (weight < 0 ? -0.5 : 0.5));
}

}  // namespace

AxisWeights axis_weights(std::int64_t in_size, std::int64_t out_size, ResizeFilter filter) {
  const Kernel kernel = filter == ResizeFilter::bicubic ? Kernel{2.0, cubic} : Kernel{1.0, triangle};
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  const double widened = std::max(scale, 1.0);
  const double support = kernel.support * widened;
  const double inverse = 1.0 / widened;
  AxisWeights axis;
  axis.windows.reserve(static_cast<std::size_t>(out_size));
  std::vector<double> weights;
  for (std::int64_t position = 0; position < out_size; ++position) {
    const double center = (static_cast<double>(position) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
    const auto last = std::min(static_cast<std::int64_t>(center + support + 0.5), in_size);
    weights.clear();
    double total = 0.0;
    for (std::int64_t x = first; x < last; ++x) {
      weights.push_back(kernel.value((static_cast<double>(x) - center + 0.5) * inverse));
      total += weights.back();
    }
    axis.windows.push_back({first, last - first, axis.weights.size()});
    for (const double weight : weights) axis.weights.push_back(to_fixed(total != 0.0 ? weight / total : weight));
  }
  return axis;
}

RETAIN_SIMD_CLONES
void mix(const std::uint8_t* in, std::ptrdiff_t stride, const std::int32_t* weights, std::int64_t count,
         std::uint8_t* out) {
  using Bytes16 = std::uint8_t __attribute__((vector_size(16)));
  using Shorts16 = std::int16_t __attribute__((vector_size(32)));
  using Shorts8 = std::int16_t __attribute__((vector_size(16)));
  using Ints8 = std::int32_t __attribute__((vector_size(32)));
  constexpr int groups = mix_lanes / 16;
  Ints8 low[groups], high[groups];
  for (int group = 0; group < groups; ++group) low[group] = high[group] = Ints8{} + (1 << (weight_bits - 1));
  for (std::int64_t tap = 0; tap < count; ++tap, in += stride)
    for (int group = 0; group < groups; ++group) {
      Bytes16 bytes;
      std::memcpy(&bytes, in + group * 16, sizeof bytes);
      // Two steps, each one instruction; from 8 to 32 bits at once compilers go byte by byte.
      const Shorts16 wide = __builtin_convertvector(bytes, Shorts16);
      const Shorts8 first = __builtin_shufflevector(wide, wide, 0, 1, 2, 3, 4, 5, 6, 7);
      const Shorts8 second = __builtin_shufflevector(wide, wide, 8, 9, 10, 11, 12, 13, 14, 15);
      low[group] += __builtin_convertvector(first, Ints8) * weights[tap];
      high[group] += __builtin_convertvector(second, Ints8) * weights[tap];
    }
  std::int32_t sums[mix_lanes];
  for (int group = 0; group < groups; ++group) {
    std::memcpy(sums + group * 16, &low[group], sizeof low[group]);
    std::memcpy(sums + group * 16 + 8, &high[group], sizeof high[group]);
  }
  for (int lane = 0; lane < mix_lanes; ++lane)
    out[lane] = static_cast<std::uint8_t>(std::clamp(sums[lane] >> weight_bits, 0, 255));
}

void transpose_16(const std::uint8_t* in, std::ptrdiff_t in_stride, std::uint8_t* out, std::ptrdiff_t out_stride) {
  using Row = std::uint8_t __attribute__((vector_size(16)));
  Row rows[16], mixed[16];
  for (int i = 0; i < 16; ++i) std::memcpy(&rows[i], in + i * in_stride, sizeof rows[i]);
  // Interleaving row i with row i + 8 four times over is a transposition.
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 8; ++i) {
      mixed[2 * i] =
          __builtin_shufflevector(rows[i], rows[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      mixed[2 * i + 1] =
          __builtin_shufflevector(rows[i], rows[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    std::copy(std::begin(mixed), std::end(mixed), std::begin(rows));
  }
  for (int j = 0; j < 16; ++j) std::memcpy(out + j * out_stride, &rows[j], sizeof rows[j]);
}

}  // namespace retain::framework::resizing
