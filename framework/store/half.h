// SPDX-License-Identifier: Apache-2.0
// 16-bit floats to float32 and back, without torch. Little-endian hosts.
#pragma once
#include <bit>
#include <cstdint>

namespace retain::framework {

inline float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Rounds to nearest, ties to even; NaN stays a (quiet) NaN.
inline std::uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

/// IEEE 754 binary16.
float from_float16(std::uint16_t bits);
/// Rounds to nearest, ties to even; NaN stays a (quiet) NaN.
std::uint16_t to_float16(float value);

}  // namespace retain::framework
