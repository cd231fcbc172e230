// SPDX-License-Identifier: Apache-2.0
// Arithmetic that compilers vectorise: an exponential without branches and conversions of 16-bit brain floats.
// A kernel is an ordinary function marked RETAIN_SIMD_CLONES (cmake/RetainSimd.cmake) whose loops call these.
#pragma once
#include <bit>
#include <cstdint>

namespace retain::framework::simd {

/// The float32 that has the 16 bits of a bfloat16 as its upper half.
[[gnu::always_inline]] inline float load(const std::uint16_t& bfloat16) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bfloat16) << 16);
}
[[gnu::always_inline]] inline float load(const float& value) { return value; }

/// Rounds to the nearest bfloat16, ties to even; NaN stays NaN.
[[gnu::always_inline]] inline void store(std::uint16_t& place, float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  place = static_cast<std::uint16_t>(value != value ? 0x7fc0U : rounded);
}
[[gnu::always_inline]] inline void store(float& place, float value) { place = value; }

/// e^x to about 1e-7 relative. exp(x) = 2^n · exp(r) with r in ±ln2/2 (Cody and Waite's reduction, degree-6 polynomial).
/// Results below the smallest normal number become 0 and above the largest saturate near it; NaN stays NaN.
[[gnu::always_inline]] inline float exp(float x) {
  constexpr float shift = 12582912.0F;  // 1.5 · 2^23: adding it rounds to an integer, which the sum's low bits then hold
  const float clamped = x > 88.0F ? 88.0F : (x < -87.3F ? -87.3F : x);
  const float shifted = clamped * 1.44269504F + shift;
  const float n = shifted - shift;
  const float r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const float scale = std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127U) << 23);
  return x < -87.3F ? 0.0F : p * scale;
}

[[gnu::always_inline]] inline float sigmoid(float x) { return 1.0F / (1.0F + exp(-x)); }

}  // namespace retain::framework::simd
