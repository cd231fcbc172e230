// SPDX-License-Identifier: Apache-2.0
// The arithmetic of reductions.
#include "parallel/comm/reduce.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

constexpr std::size_t block = 2048;  // elements accumulated at once; the accumulator stays in the first-level cache

template <ReduceOp op, class T>
inline T combine(T a, T b) {
  if constexpr (op == ReduceOp::sum) {
    return static_cast<T>(a + b);
  } else {
    // a != a: a NaN on the left stays; a NaN on the right fails the comparison and is taken.
    const bool keep = op == ReduceOp::max ? a >= b : a <= b;
    if constexpr (std::is_floating_point_v<T>) return keep || a != a ? a : b;
    return keep ? a : b;
  }
}

inline float widen(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Round to nearest even; any NaN becomes the quiet NaN.
inline std::uint16_t narrow(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<std::uint16_t>(value != value ? 0x7FC0u : rounded);
}

template <ReduceOp op, class T>
inline __attribute__((always_inline)) void reduce_plain(T* target, const void* const* sources, std::size_t count,
                                                        std::size_t elements) {
  if (count == 2) {
    const T* a = static_cast<const T*>(sources[0]);
    const T* b = static_cast<const T*>(sources[1]);
#pragma GCC ivdep
    for (std::size_t i = 0; i < elements; ++i) target[i] = combine<op>(a[i], b[i]);
    return;
  }
  alignas(64) std::array<T, block> sum;
  for (std::size_t start = 0; start < elements; start += block) {
    const std::size_t n = std::min(block, elements - start);
    std::memcpy(sum.data(), static_cast<const T*>(sources[0]) + start, n * sizeof(T));
    for (std::size_t s = 1; s < count; ++s) {
      const T* source = static_cast<const T*>(sources[s]) + start;
      for (std::size_t i = 0; i < n; ++i) sum[i] = combine<op>(sum[i], source[i]);
    }
    std::memcpy(target + start, sum.data(), n * sizeof(T));
  }
}

template <ReduceOp op>
inline __attribute__((always_inline)) void reduce_bfloat16(std::uint16_t* target, const void* const* sources,
                                                           std::size_t count, std::size_t elements) {
  if (count == 2) {
    const auto* a = static_cast<const std::uint16_t*>(sources[0]);
    const auto* b = static_cast<const std::uint16_t*>(sources[1]);
#pragma GCC ivdep
    for (std::size_t i = 0; i < elements; ++i) target[i] = narrow(combine<op>(widen(a[i]), widen(b[i])));
    return;
  }
  alignas(64) std::array<float, block> sum;
  for (std::size_t start = 0; start < elements; start += block) {
    const std::size_t n = std::min(block, elements - start);
    const auto* first = static_cast<const std::uint16_t*>(sources[0]) + start;
    for (std::size_t i = 0; i < n; ++i) sum[i] = widen(first[i]);
    for (std::size_t s = 1; s < count; ++s) {
      const auto* source = static_cast<const std::uint16_t*>(sources[s]) + start;
      for (std::size_t i = 0; i < n; ++i) sum[i] = combine<op>(sum[i], widen(source[i]));
    }
    for (std::size_t i = 0; i < n; ++i) target[start + i] = narrow(sum[i]);
  }
}

// The training dtypes get vectorised clones; the others carry counts and flags.
RETAIN_SIMD_CLONES void sum_float32(float* target, const void* const* sources, std::size_t count, std::size_t elements) {
  reduce_plain<ReduceOp::sum>(target, sources, count, elements);
}
RETAIN_SIMD_CLONES void sum_bfloat16(std::uint16_t* target, const void* const* sources, std::size_t count,
                                    std::size_t elements) {
  reduce_bfloat16<ReduceOp::sum>(target, sources, count, elements);
}
RETAIN_SIMD_CLONES void max_float32(float* target, const void* const* sources, std::size_t count, std::size_t elements) {
  reduce_plain<ReduceOp::max>(target, sources, count, elements);
}

template <class T>
void reduce_any(T* target, std::span<const void* const> sources, std::size_t elements, ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return reduce_plain<ReduceOp::sum>(target, sources.data(), sources.size(), elements);
    case ReduceOp::max:
      return reduce_plain<ReduceOp::max>(target, sources.data(), sources.size(), elements);
    case ReduceOp::min:
      return reduce_plain<ReduceOp::min>(target, sources.data(), sources.size(), elements);
  }
}

void reduce_any_bfloat16(std::uint16_t* target, std::span<const void* const> sources, std::size_t elements,
                         ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return sum_bfloat16(target, sources.data(), sources.size(), elements);
    case ReduceOp::max:
      return reduce_bfloat16<ReduceOp::max>(target, sources.data(), sources.size(), elements);
    case ReduceOp::min:
      return reduce_bfloat16<ReduceOp::min>(target, sources.data(), sources.size(), elements);
  }
}

void reduce_float32(float* target, std::span<const void* const> sources, std::size_t elements, ReduceOp op) {
  if (op == ReduceOp::sum) return sum_float32(target, sources.data(), sources.size(), elements);
  if (op == ReduceOp::max) return max_float32(target, sources.data(), sources.size(), elements);
  reduce_any(target, sources, elements, op);
}

}  // namespace

void reduce_in_order(void* target, std::span<const void* const> sources, std::size_t elements, c10::ScalarType dtype,
                     ReduceOp op) {
  switch (dtype) {
    case c10::ScalarType::Float:
      return reduce_float32(static_cast<float*>(target), sources, elements, op);
    case c10::ScalarType::BFloat16:
      return reduce_any_bfloat16(static_cast<std::uint16_t*>(target), sources, elements, op);
    case c10::ScalarType::Double:
      return reduce_any(static_cast<double*>(target), sources, elements, op);
    case c10::ScalarType::Long:
      return reduce_any(static_cast<std::int64_t*>(target), sources, elements, op);
    case c10::ScalarType::Int:
      return reduce_any(static_cast<std::int32_t*>(target), sources, elements, op);
    case c10::ScalarType::Byte:
      return reduce_any(static_cast<std::uint8_t*>(target), sources, elements, op);
    default:
      throw framework::Error(framework::ErrorKind::internal, {"a reduction of an unsupported dtype",
                                                              "float32, bfloat16, float64, int64, int32 or uint8",
                                                              std::string(c10::toString(dtype)),
                                                              {}});
  }
}

}  // namespace retain::parallel
