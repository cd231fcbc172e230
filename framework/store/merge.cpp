// SPDX-License-Identifier: Apache-2.0
#include "framework/store/merge.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "framework/store/commit.h"
#include "framework/store/half.h"

namespace retain::framework {
namespace {

bool is_float(DType dtype) {
  return dtype == DType::float32 || dtype == DType::float64 || dtype == DType::bfloat16 || dtype == DType::float16;
}

template <typename Stored>
Stored stored_at(std::span<const std::byte> bytes, std::size_t i) {
  Stored value;
  std::memcpy(&value, &bytes[i * sizeof(Stored)], sizeof(Stored));
  return value;
}

template <typename Stored>
void store_at(std::span<std::byte> bytes, std::size_t i, Stored value) {
  std::memcpy(&bytes[i * sizeof(Stored)], &value, sizeof(Stored));
}

std::vector<double> widened(DType dtype, std::span<const std::byte> bytes) {
  std::vector<double> values(bytes.size() / static_cast<std::size_t>(size_of(dtype)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    switch (dtype) {
      case DType::float64: values[i] = stored_at<double>(bytes, i); break;
      case DType::bfloat16: values[i] = from_bfloat16(stored_at<std::uint16_t>(bytes, i)); break;
      case DType::float16: values[i] = from_float16(stored_at<std::uint16_t>(bytes, i)); break;
      default: values[i] = stored_at<float>(bytes, i); break;
    }
  }
  return values;
}

void narrow(DType dtype, const std::vector<double>& values, std::span<std::byte> out) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    switch (dtype) {
      case DType::float64: store_at(out, i, values[i]); break;
      case DType::bfloat16: store_at(out, i, to_bfloat16(static_cast<float>(values[i]))); break;
      case DType::float16: store_at(out, i, to_float16(static_cast<float>(values[i]))); break;
      default: store_at(out, i, static_cast<float>(values[i])); break;
    }
  }
}

void require_same_form(const TensorSource& a, const TensorSource& b) {
  for (const TensorInfo& tensor : a.tensors()) {
    const TensorInfo* other = b.find(tensor.name);
    if (!other)
      throw Error(ErrorKind::checkpoint_missing_tensor,
                  {"tensor " + tensor.name + " is in only some of the models", "the same tensors in all",
                   "absent from one", "merge stages of one base"});
    if (other->shape != tensor.shape || other->dtype != tensor.dtype)
      throw Error(ErrorKind::checkpoint_shape_mismatch,
                  {"tensor " + tensor.name + " differs in form between the models",
                   std::string(name_of(tensor.dtype)) + " " + to_string(tensor.shape),
                   std::string(name_of(other->dtype)) + " " + to_string(other->shape), "merge stages of one base"});
  }
}

bool same_bytes(const TensorSource& a, const TensorSource& b, const std::string& name) {
  const auto left = a.digest(name), right = b.digest(name);
  return left && right ? *left == *right : a.read_all(name) == b.read_all(name);
}

/// The magnitude of the last element that stays.
double threshold_of(std::vector<double> magnitudes, double density) {
  const auto kept = std::max<std::size_t>(1, static_cast<std::size_t>(density * static_cast<double>(magnitudes.size())));
  if (kept >= magnitudes.size()) return 0;
  const auto last = magnitudes.begin() + static_cast<std::ptrdiff_t>(kept - 1);
  std::nth_element(magnitudes.begin(), last, magnitudes.end(), std::greater<>());
  return *last;
}

/// Divided by Σ|w|: by a signed Σ, as mergekit divides (GTATask: (weights * mask).sum), a weight of −1 alone cancels and adds the
/// task. PEFT's disjoint_merge divides by a count, which has no sign; with positive weights all mean what mergekit means.
double agreed(const std::vector<double>& changes, const std::vector<double>& weights, SignRule rule) {
  double balance = 0, sum = 0, weight = 0;
  for (std::size_t m = 0; m < changes.size(); ++m) {
    const double part = weights[m] * changes[m];
    balance += rule == SignRule::sum ? part : static_cast<double>((part > 0) - (part < 0));
  }
  const bool positive = balance >= 0;
  for (std::size_t m = 0; m < changes.size(); ++m) {
    const double part = weights[m] * changes[m];
    if (part == 0 || (part > 0) != positive) continue;
    sum += part;
    weight += std::abs(weights[m]);
  }
  return weight == 0 ? 0 : sum / weight;
}

}  // namespace

const std::vector<std::string>& merge_kind_names() {
  static const std::vector<std::string> names = {"task_arithmetic", "ties", "dare", "dare_ties"};
  return names;
}

MergeKind merge_kind_from_name(const std::string& name) {
  const auto& names = merge_kind_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw Error(ErrorKind::usage, {"unknown way to merge", "task_arithmetic, ties, dare or dare_ties", name, {}});
  return static_cast<MergeKind>(found - names.begin());
}

MergeView::MergeView(std::shared_ptr<const TensorSource> base, std::vector<std::shared_ptr<const TensorSource>> models,
                     MergeSettings settings)
    : base_(std::move(base)), models_(std::move(models)), settings_(std::move(settings)) {
  if (models_.empty()) throw Error(ErrorKind::usage, {"nothing to merge", "at least one model beside the base", "none", {}});
  if (settings_.weights.empty()) settings_.weights.assign(models_.size(), 1.0);
  if (settings_.weights.size() != models_.size())
    throw Error(ErrorKind::usage, {"a merge needs a weight for every model",
                                   std::to_string(models_.size()),
                                   std::to_string(settings_.weights.size()),
                                   {}});
  if (!(settings_.density > 0 && settings_.density <= 1))
    throw Error(ErrorKind::usage, {"the density of a merge lies outside its range",
                                   "more than 0, at most 1",
                                   std::to_string(settings_.density),
                                   {}});
  for (const double number : settings_.weights)
    if (!std::isfinite(number * settings_.scale))
      throw Error(ErrorKind::usage,
                  {"a weight of the merge is not finite", "finite numbers", std::to_string(number), {}});
  for (const auto& model : models_) {
    require_same_form(*base_, *model);
    require_same_form(*model, *base_);
  }
  for (const TensorInfo& tensor : base_->tensors()) {
    const bool differs = std::any_of(models_.begin(), models_.end(),
                                     [&](const auto& model) { return !same_bytes(*base_, *model, tensor.name); });
    if (!differs) continue;
    if (!is_float(tensor.dtype))
      throw Error(ErrorKind::checkpoint_shape_mismatch, {"integers that differ cannot be merged",
                                                         "equal values in " + tensor.name,
                                                         std::string(name_of(tensor.dtype)),
                                                         {}});
    std::vector<double>& thresholds = thresholds_[tensor.name];
    thresholds.assign(models_.size(), 0);
    if (settings_.kind != MergeKind::ties) continue;
    const std::vector<double> origin = widened(tensor.dtype, base_->read_all(tensor.name));
    for (std::size_t m = 0; m < models_.size(); ++m) {
      std::vector<double> magnitudes = changes(m, tensor, 0, origin);
      for (double& value : magnitudes) value = std::abs(value);
      thresholds[m] = threshold_of(std::move(magnitudes), settings_.density);
    }
  }
}

/// τ of a stretch of a tensor, thinned out as DARE does and trimmed below the threshold.
std::vector<double> MergeView::changes(std::size_t model, const TensorInfo& tensor, std::int64_t first,
                                       const std::vector<double>& base) const {
  std::vector<std::byte> bytes(base.size() * static_cast<std::size_t>(size_of(tensor.dtype)));
  models_[model]->read(tensor.name, first, bytes);
  std::vector<double> values = widened(tensor.dtype, bytes);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] -= base[i];
  if (settings_.kind == MergeKind::dare || settings_.kind == MergeKind::dare_ties) {
    Random random(settings_.seed, "dare/" + std::to_string(model) + "/" + tensor.name);
    random.seek(static_cast<std::uint64_t>(first));  // one number an element
    for (double& value : values) value = random.uniform() < settings_.density ? value / settings_.density : 0.0;
  }
  const double threshold = thresholds_.at(tensor.name)[model];
  for (double& value : values)
    if (std::abs(value) < threshold) value = 0;
  return values;
}

std::int64_t MergeView::bytes_read() const {
  std::int64_t bytes = base_->bytes_read();
  for (const auto& model : models_) bytes += model->bytes_read();
  return bytes;
}

void MergeView::read(const std::string& name, std::int64_t first, std::span<std::byte> out) const {
  base_->read(name, first, out);
  if (!changed(name)) return;
  const TensorInfo& tensor = *base_->find(name);
  std::vector<double> result = widened(tensor.dtype, out);
  std::vector<std::vector<double>> deltas;
  for (std::size_t m = 0; m < models_.size(); ++m) deltas.push_back(changes(m, tensor, first, result));
  const bool elect = settings_.kind == MergeKind::ties || settings_.kind == MergeKind::dare_ties;
  std::vector<double> here(models_.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    double sum = 0;
    for (std::size_t m = 0; m < models_.size(); ++m) {
      here[m] = deltas[m][i];
      sum += settings_.weights[m] * here[m];
    }
    result[i] += settings_.scale * (elect ? agreed(here, settings_.weights, settings_.sign) : sum);
  }
  narrow(tensor.dtype, result, out);
}

std::string commit_merge(const Store& store, const StoreLock& lock, const std::string& base, const std::vector<std::string>& models,
                         const MergeSettings& settings, json::object info) {
  const auto origin = std::make_shared<const StageReader>(store, base);
  std::vector<std::shared_ptr<const TensorSource>> sources;
  for (const std::string& model : models) sources.push_back(std::make_shared<const StageReader>(store, model));
  const MergeView view(origin, std::move(sources), settings);
  StageDraft draft;
  draft.info = std::move(info);
  draft.parents = {base};
  draft.parents.insert(draft.parents.end(), models.begin(), models.end());
  draft.inputs = {{"operation", "merge"}, {"kind", merge_kind_names()[static_cast<std::size_t>(settings.kind)]},
                  {"weights", json::value_from(settings.weights)}, {"lambda", settings.scale}, {"density", settings.density},
                  {"sign", settings.sign == SignRule::sum ? "sum" : "count"}, {"seed", settings.seed}};
  for (const ArrayEntry& array : origin->manifest().arrays)
    if (array.spec.path.starts_with(kTensorPrefix) && view.changed(array.spec.path.substr(kTensorPrefix.size())))
      draft.arrays.push_back(array.spec);
  return write_stage(store, lock, std::move(draft), [&](const ArraySpec& spec, std::uint64_t begin, std::span<std::byte> out) {
    view.read(spec.path.substr(kTensorPrefix.size()), static_cast<std::int64_t>(begin) / size_of(spec.dtype), out);
  });
}

}  // namespace retain::framework
