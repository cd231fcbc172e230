// SPDX-License-Identifier: Apache-2.0
#include "framework/store/blend.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "framework/store/commit.h"
#include "framework/store/half.h"

namespace retain::framework {
namespace {

/// Work is the type the arithmetic is done in; the products are rounded before they are added (no fused multiply-add:
/// this file is compiled without contraction).
template <typename Work, typename Stored, typename Load, typename Save>
void mix(double x, std::span<const std::byte> a, std::span<const std::byte> b, std::span<std::byte> out, Load load,
         Save save) {
  const auto weight_a = static_cast<Work>(x);
  const auto weight_b = static_cast<Work>(1.0 - x);
  for (std::size_t at = 0; at < out.size(); at += sizeof(Stored)) {
    Stored left;
    Stored right;
    std::memcpy(&left, &a[at], sizeof(Stored));
    std::memcpy(&right, &b[at], sizeof(Stored));
    const Work part_a = weight_a * load(left);
    const Work part_b = weight_b * load(right);
    const Stored result = save(part_a + part_b);
    std::memcpy(&out[at], &result, sizeof(Stored));
  }
}

std::string describe(const TensorInfo& tensor) {
  return std::string(name_of(tensor.dtype)) + " " + to_string(tensor.shape);
}

void require_alike(const TensorInfo* a, const TensorInfo* b, const std::string& name) {
  if (!a || !b)
    throw Error(ErrorKind::checkpoint_missing_tensor,
                {"tensor " + name + " is in only one of the two models", "the same tensors in both",
                 a ? "absent from the second" : "absent from the first", "blend stages of one base"});
  if (a->shape == b->shape && a->dtype == b->dtype) return;
  throw Error(ErrorKind::checkpoint_shape_mismatch, {"tensor " + name + " differs in form between the two models",
                                                     describe(*a), describe(*b), "blend stages of one base"});
}

void require_weight(double x) {
  if (x >= 0.0 && x <= 1.0) return;
  throw Error(ErrorKind::usage,
              {"a blend's weight must lie between 0 and 1", "0 (the second) to 1 (the first)", std::to_string(x), {}});
}

/// x * v + (1 - x) * v would round, so tensors that are equal as a whole are not mixed.
bool equal_bits(const TensorSource& a, const TensorSource& b, const TensorInfo& tensor) {
  const auto left = a.digest(tensor.name);
  const auto right = b.digest(tensor.name);
  if (left && right) return *left == *right;
  const std::int64_t elements = elements_of(tensor.shape);
  const std::int64_t step = static_cast<std::int64_t>(kBlockBytes) / size_of(tensor.dtype);
  std::vector<std::byte> one;
  std::vector<std::byte> other;
  for (std::int64_t first = 0; first < elements; first += step) {
    one.resize(static_cast<std::size_t>(std::min(step, elements - first) * size_of(tensor.dtype)));
    other.resize(one.size());
    a.read(tensor.name, first, one);
    b.read(tensor.name, first, other);
    if (one != other) return false;
  }
  return true;
}

bool is_tensor(const ArrayEntry& array) {
  return array.spec.path.starts_with(kTensorPrefix);
}

json::object blend_inputs(double x) {
  json::object inputs;
  inputs["operation"] = "blend";
  inputs["formula"] = "x * first parent + (1 - x) * second parent";
  inputs["x"] = x;
  return inputs;
}

}  // namespace

void blend_elements(DType dtype, double x, std::span<const std::byte> a, std::span<const std::byte> b,
                    std::span<std::byte> out) {
  const auto same = [](auto value) { return value; };
  switch (dtype) {
    case DType::float32:
      return mix<float, float>(x, a, b, out, same, same);
    case DType::float64:
      return mix<double, double>(x, a, b, out, same, same);
    case DType::bfloat16:
      return mix<float, std::uint16_t>(x, a, b, out, from_bfloat16, to_bfloat16);
    case DType::float16:
      return mix<float, std::uint16_t>(x, a, b, out, from_float16, to_float16);
    default:
      break;
  }
  if (std::memcmp(a.data(), b.data(), a.size()) != 0)
    throw Error(ErrorKind::checkpoint_shape_mismatch,
                {"integers that differ cannot be blended", "equal values", std::string(name_of(dtype)), {}});
  std::memmove(out.data(), a.data(), a.size());
}

BlendView::BlendView(std::shared_ptr<const TensorSource> a, std::shared_ptr<const TensorSource> b, double x)
    : BlendView(std::move(a), std::move(b), [x](const std::string& /*tensor*/) { return x; }) {}

BlendView::BlendView(std::shared_ptr<const TensorSource> a, std::shared_ptr<const TensorSource> b, const BlendWeights& weights)
    : a_(std::move(a)), b_(std::move(b)) {
  for (const TensorInfo& tensor : a_->tensors()) require_alike(&tensor, b_->find(tensor.name), tensor.name);
  for (const TensorInfo& tensor : b_->tensors()) require_alike(a_->find(tensor.name), &tensor, tensor.name);
  for (const TensorInfo& tensor : a_->tensors()) {
    const double x = weights(tensor.name);
    require_weight(x);
    if (!equal_bits(*a_, *b_, tensor)) mixed_.emplace(tensor.name, x);
  }
}

void BlendView::read(const std::string& name, std::int64_t first, std::span<std::byte> out) const {
  const TensorInfo* tensor = a_->find(name);
  if (!tensor) throw Error(ErrorKind::checkpoint_missing_tensor, "there is no tensor " + name);
  a_->read(name, first, out);
  const auto mixed = mixed_.find(name);
  if (mixed == mixed_.end()) return;
  std::vector<std::byte> other(out.size());
  b_->read(name, first, other);
  blend_elements(tensor->dtype, mixed->second, out, other, out);
}

std::string commit_blend(const Store& store, const StoreLock& lock, const std::string& a, const std::string& b,
                         double x, json::object info) {
  return commit_blend(store, lock, a, b, [x](const std::string& /*tensor*/) { return x; }, blend_inputs(x), std::move(info));
}

std::string commit_blend(const Store& store, const StoreLock& lock, const std::string& a, const std::string& b,
                         const BlendWeights& weights, json::object inputs, json::object info) {
  const auto first = std::make_shared<const StageReader>(store, a);
  const auto second = std::make_shared<const StageReader>(store, b);
  const BlendView view(first, second, weights);
  StageDraft draft{{a, b}, std::move(inputs), std::move(info), {}, {}, {}};
  for (const ArrayEntry& array : first->manifest().arrays)
    if (is_tensor(array) && second->manifest().find(array.spec.path)->digest != array.digest)
      draft.arrays.push_back(array.spec);
  return write_stage(
      store, lock, std::move(draft), [&](const ArraySpec& spec, std::uint64_t begin, std::span<std::byte> out) {
        view.read(spec.path.substr(kTensorPrefix.size()), static_cast<std::int64_t>(begin) / size_of(spec.dtype), out);
      });
}

}  // namespace retain::framework
