// SPDX-License-Identifier: Apache-2.0
// How far apart two models are, tensor by tensor and module by module.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "framework/store/tensor_source.h"

namespace retain::framework {

/// Sums in double precision; norms are Euclidean over all elements.
struct Distance {
  std::int64_t elements = 0;
  std::int64_t changed = 0;  ///< elements whose values differ
  double square_a = 0;       ///< sum of a^2
  double square_b = 0;
  double square_difference = 0;  ///< sum of (b - a)^2
  double product = 0;            ///< sum of a * b
  double largest = 0;            ///< largest |b - a|

  double norm() const;      ///< |b - a|
  double relative() const;  ///< |b - a| / |a|; infinite when only a is zero, 0 when both are
  double cosine() const;    ///< of the angle between a and b; 1 when one is zero
  void add(const Distance& other);
};

enum class TensorFate { same, changed, reshaped, only_in_a, only_in_b };

struct TensorDifference {
  std::string name;
  TensorFate fate = TensorFate::same;
  Distance distance;  ///< of changed tensors
};

/// All tensors of both, in a's order, then those that only b has. Tensors of equal digest are not read.
std::vector<TensorDifference> diff(const TensorSource& a, const TensorSource& b);

/// The same summed by module: the name up to and with its layer number's block ("language.layers.*.self_attn",
/// "vision.layers.*.mlp"), else without its last part. In order of appearance.
std::vector<TensorDifference> by_module(const std::vector<TensorDifference>& differences);

/// Distance of two equally long runs of elements.
Distance distance_of(DType dtype, std::span<const std::byte> a, std::span<const std::byte> b);

}  // namespace retain::framework
