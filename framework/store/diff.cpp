// SPDX-License-Identifier: Apache-2.0
#include "framework/store/diff.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "framework/store/half.h"
#include "framework/store/manifest.h"

namespace retain::framework {
namespace {

template <typename Stored, typename Load>
Distance measure(std::span<const std::byte> a, std::span<const std::byte> b, Load load) {
  Distance sum;
  sum.elements = static_cast<std::int64_t>(a.size() / sizeof(Stored));
  for (std::size_t at = 0; at < a.size(); at += sizeof(Stored)) {
    Stored left;
    Stored right;
    std::memcpy(&left, &a[at], sizeof(Stored));
    std::memcpy(&right, &b[at], sizeof(Stored));
    const auto u = static_cast<double>(load(left));
    const auto v = static_cast<double>(load(right));
    const double delta = v - u;
    sum.changed += left != right;
    sum.square_a += u * u;
    sum.square_b += v * v;
    sum.square_difference += delta * delta;
    sum.product += u * v;
    sum.largest = std::max(sum.largest, std::abs(delta));
  }
  return sum;
}

Distance read_distance(const TensorSource& a, const TensorSource& b, const TensorInfo& tensor) {
  Distance sum;
  const std::int64_t elements = elements_of(tensor.shape);
  const std::int64_t step = static_cast<std::int64_t>(kBlockBytes) / size_of(tensor.dtype);
  std::vector<std::byte> left;
  std::vector<std::byte> right;
  for (std::int64_t first = 0; first < elements; first += step) {
    left.resize(static_cast<std::size_t>(std::min(step, elements - first) * size_of(tensor.dtype)));
    right.resize(left.size());
    a.read(tensor.name, first, left);
    b.read(tensor.name, first, right);
    sum.add(distance_of(tensor.dtype, left, right));
  }
  return sum;
}

TensorDifference compare(const TensorSource& a, const TensorSource& b, const TensorInfo& left,
                         const TensorInfo& right) {
  TensorDifference difference{left.name, TensorFate::same, {}};
  if (left.shape != right.shape || left.dtype != right.dtype) {
    difference.fate = TensorFate::reshaped;
    return difference;
  }
  difference.distance.elements = elements_of(left.shape);
  const auto digest_a = a.digest(left.name);
  const auto digest_b = b.digest(left.name);
  if (digest_a && digest_b && *digest_a == *digest_b) return difference;
  difference.distance = read_distance(a, b, left);
  if (difference.distance.changed > 0) difference.fate = TensorFate::changed;
  return difference;
}

/// "language.layers.3.self_attn.q_proj.bias" -> "language.layers.*.self_attn"
std::string module_of(const std::string& name) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    parts.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  const auto is_number = [](const std::string& part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
  };
  const auto number = std::find_if(parts.begin(), parts.end(), is_number);
  std::size_t keep = parts.size() > 1 ? parts.size() - 1 : 1;
  if (number != parts.end()) {
    keep = std::min(parts.size(), static_cast<std::size_t>(number - parts.begin()) + 2);
    *number = "*";
  }
  std::string module;
  for (std::size_t i = 0; i < keep; ++i) module += (i ? "." : "") + parts[i];
  return module;
}

}  // namespace

double Distance::norm() const {
  return std::sqrt(square_difference);
}

double Distance::relative() const {
  if (square_difference == 0) return 0;
  return square_a > 0 ? std::sqrt(square_difference / square_a) : std::numeric_limits<double>::infinity();
}

double Distance::cosine() const {
  if (square_a == 0 || square_b == 0) return 1;
  return std::clamp(product / std::sqrt(square_a) / std::sqrt(square_b), -1.0, 1.0);
}

void Distance::add(const Distance& other) {
  elements += other.elements;
  changed += other.changed;
  square_a += other.square_a;
  square_b += other.square_b;
  square_difference += other.square_difference;
  product += other.product;
  largest = std::max(largest, other.largest);
}

Distance distance_of(DType dtype, std::span<const std::byte> a, std::span<const std::byte> b) {
  const auto same = [](auto value) { return value; };
  switch (dtype) {
    case DType::float32:
      return measure<float>(a, b, same);
    case DType::float64:
      return measure<double>(a, b, same);
    case DType::bfloat16:
      return measure<std::uint16_t>(a, b, from_bfloat16);
    case DType::float16:
      return measure<std::uint16_t>(a, b, from_float16);
    case DType::int64:
      return measure<std::int64_t>(a, b, same);
    case DType::int32:
      return measure<std::int32_t>(a, b, same);
    case DType::int16:
      return measure<std::int16_t>(a, b, same);
    case DType::int8:
      return measure<std::int8_t>(a, b, same);
    case DType::uint8:
    case DType::boolean:
      return measure<std::uint8_t>(a, b, same);
  }
  return {};
}

std::vector<TensorDifference> diff(const TensorSource& a, const TensorSource& b) {
  std::vector<TensorDifference> differences;
  for (const TensorInfo& left : a.tensors()) {
    const TensorInfo* right = b.find(left.name);
    differences.push_back(right ? compare(a, b, left, *right) : TensorDifference{left.name, TensorFate::only_in_a, {}});
  }
  for (const TensorInfo& right : b.tensors())
    if (!a.find(right.name)) differences.push_back({right.name, TensorFate::only_in_b, {}});
  return differences;
}

std::vector<TensorDifference> by_module(const std::vector<TensorDifference>& differences) {
  std::vector<TensorDifference> modules;
  std::map<std::string, std::size_t> index;
  for (const TensorDifference& difference : differences) {
    const std::string module = module_of(difference.name);
    const auto [found, fresh] = index.emplace(module, modules.size());
    if (fresh) modules.push_back({module, TensorFate::same, {}});
    TensorDifference& sum = modules[found->second];
    sum.distance.add(difference.distance);
    if (difference.fate != TensorFate::same) sum.fate = TensorFate::changed;
  }
  return modules;
}

}  // namespace retain::framework
