// SPDX-License-Identifier: Apache-2.0
// Blocks of a thousand elements pass through float32 buffers that stay in the first-level cache; the loops are compiled for
// several instruction sets and chosen when the program is loaded.
#include "parallel/optimizer_kernels.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "framework/base/error.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
// Without errno a square root is one instruction, which lets its loop be vectorised.
#define RETAIN_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default"), optimize("no-math-errno")))
#else
#define RETAIN_VECTOR_CLONES
#endif

namespace retain::parallel {

namespace {

constexpr std::int64_t kBlock = 1024;       // elements converted at a time
constexpr std::int64_t kGrain = 64 * 1024;  // elements a thread takes at least

RETAIN_VECTOR_CLONES void widen(const std::uint16_t* __restrict from, float* __restrict to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = static_cast<std::uint32_t>(from[i]) << 16;
    std::memcpy(to + i, &bits, sizeof bits);
  }
}

/// Round to nearest, ties to even; NaN stays NaN.
RETAIN_VECTOR_CLONES void narrow(const float* __restrict from, std::uint16_t* __restrict to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(from[i]);
    const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    to[i] = static_cast<std::uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? 0x7FC0U : rounded);
  }
}

RETAIN_VECTOR_CLONES void update_block(float* __restrict p, float* __restrict m, float* __restrict v,
                                       const float* __restrict gradient, std::int64_t count, const AdamWUpdate u) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * u.gradient_scale;
    const float first = m[i] + u.one_minus_beta1 * (g - m[i]);
    const float second = v[i] * u.beta2 + u.one_minus_beta2 * g * g;
    m[i] = first;
    v[i] = second;
    p[i] = p[i] * u.decay - u.step * (first / (std::sqrt(second) / u.root + u.epsilon));
  }
}

RETAIN_VECTOR_CLONES double squares_of_block(const float* values, std::int64_t count) {
  std::array<double, 8> lanes{};
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (std::size_t k = 0; k < 8; ++k) {
      const double x = values[i + static_cast<std::int64_t>(k)];
      lanes[k] += x * x;
    }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < count; ++i) sum += static_cast<double>(values[i]) * values[i];
  return sum;
}

/// A flat float32 or bfloat16 tensor read and written in blocks of float32.
class Flat {
 public:
  explicit Flat(const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    if (!tensor.is_contiguous() || (tensor.scalar_type() != at::kFloat && tensor.scalar_type() != at::kBFloat16))
      throw framework::Error(framework::ErrorKind::internal,
                             "the optimizer was given a tensor that is not contiguous float32 or bfloat16");
    count_ = tensor.numel();
    if (tensor.scalar_type() == at::kFloat)
      wide_ = static_cast<float*>(tensor.data_ptr());
    else
      narrow_ = static_cast<std::uint16_t*>(tensor.data_ptr());
  }
  bool defined() const { return wide_ || narrow_; }
  std::int64_t count() const { return count_; }
  /// float32 values from `begin`: the tensor's own memory, or `buffer` filled.
  float* read(std::int64_t begin, std::int64_t count, float* buffer) const {
    if (wide_) return wide_ + begin;
    widen(narrow_ + begin, buffer, count);
    return buffer;
  }
  /// Rounds `values` into the tensor; nothing to do where read() gave its own memory.
  void write(std::int64_t begin, std::int64_t count, const float* values) const {
    if (narrow_)
      narrow(values, narrow_ + begin, count);
    else if (values != wide_ + begin)
      std::copy(values, values + count, wide_ + begin);
  }

 private:
  float* wide_ = nullptr;
  std::uint16_t* narrow_ = nullptr;
  std::int64_t count_ = 0;
};

}  // namespace

void adamw_update(const at::Tensor& parameter, const at::Tensor& master, const at::Tensor& first,
                  const at::Tensor& second, const at::Tensor& gradient, const AdamWUpdate& update) {
  const Flat p(parameter), w(master), m(first), v(second), g(gradient);
  const std::int64_t count = p.count();
  if (m.count() != count || v.count() != count || g.count() != count || (w.defined() && w.count() != count))
    throw framework::Error(framework::ErrorKind::internal, "the optimizer was given tensors of different lengths");
  at::parallel_for(0, count, kGrain, [&](std::int64_t from, std::int64_t to) {
    std::array<float, kBlock> p_buffer, m_buffer, v_buffer, g_buffer;
    for (std::int64_t begin = from; begin < to; begin += kBlock) {
      const std::int64_t n = std::min(kBlock, to - begin);
      float* weights = w.defined() ? w.read(begin, n, p_buffer.data()) : p.read(begin, n, p_buffer.data());
      float* firsts = m.read(begin, n, m_buffer.data());
      float* seconds = v.read(begin, n, v_buffer.data());
      update_block(weights, firsts, seconds, g.read(begin, n, g_buffer.data()), n, update);
      m.write(begin, n, firsts);
      v.write(begin, n, seconds);
      p.write(begin, n, weights);
    }
  });
}

double sum_of_squares(const at::Tensor& values) {
  const Flat x(values);
  const std::int64_t blocks = (x.count() + kGrain - 1) / kGrain;
  std::vector<double> sums(static_cast<std::size_t>(blocks));
  at::parallel_for(0, blocks, 1, [&](std::int64_t from, std::int64_t to) {
    std::array<float, kBlock> buffer;
    for (std::int64_t block = from; block < to; ++block) {
      double sum = 0;
      const std::int64_t end = std::min(x.count(), (block + 1) * kGrain);
      for (std::int64_t begin = block * kGrain; begin < end; begin += kBlock) {
        const std::int64_t n = std::min(kBlock, end - begin);
        sum += squares_of_block(x.read(begin, n, buffer.data()), n);
      }
      sums[static_cast<std::size_t>(block)] = sum;
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace retain::parallel
