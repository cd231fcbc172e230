// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/batch.h"

#include <algorithm>

#include "framework/base/error.h"

namespace retain::models {
namespace {

constexpr std::int64_t ignored = -100;

at::Tensor tensor_of(const std::vector<std::int64_t>& values) { return at::tensor(values, at::kLong); }

/// [T], or [3,T] as soon as one sample has positions of its own.
at::Tensor positions_of(std::span<const Sample> samples) {
  const bool multimodal =
      std::any_of(samples.begin(), samples.end(), [](const Sample& sample) { return !sample.positions.empty(); });
  std::array<std::vector<std::int64_t>, 3> axes;
  for (std::size_t axis = 0; axis < (multimodal ? 3 : 1); ++axis)
    for (const Sample& sample : samples)
      for (std::size_t i = 0; i < sample.ids.size(); ++i)
        axes[axis].push_back(sample.positions.empty() ? static_cast<std::int64_t>(i) : sample.positions.at(i)[axis]);
  if (!multimodal) return tensor_of(axes[0]);
  return at::stack({tensor_of(axes[0]), tensor_of(axes[1]), tensor_of(axes[2])});
}

}  // namespace

std::int64_t Sample::next_position() const {
  if (positions.empty()) return static_cast<std::int64_t>(ids.size());
  std::int64_t last = -1;
  for (const auto& position : positions) last = std::max({last, position[0], position[1], position[2]});
  return last + 1;
}

std::int64_t Sample::answers() const {
  std::int64_t count = 0;
  for (std::size_t i = 1; i < labels.size(); ++i) count += labels[i] != ignored;
  return count;
}

MicroBatch pack(std::span<const Sample> samples, LossAverage average, std::int64_t batch_samples, std::int64_t batch_answers) {
  MicroBatch batch;
  batch.starts.push_back(0);
  batch.sample_weight = 1.0 / static_cast<double>(std::max<std::int64_t>(1, batch_samples));
  std::vector<std::int64_t> ids, answer_rows, targets;
  std::vector<float> weights;
  for (const Sample& sample : samples) {
    if (!sample.labels.empty() && sample.labels.size() != sample.ids.size())
      throw framework::Error(framework::ErrorKind::internal, "sample " + sample.id + " has not one label per token");
    const std::int64_t answers = sample.answers();
    const double terms = average == LossAverage::token ? static_cast<double>(batch_answers)
                                                       : static_cast<double>(batch_samples) * static_cast<double>(answers);
    const std::int64_t begin = batch.starts.back();
    for (std::size_t i = 0; i < sample.ids.size(); ++i) {
      ids.push_back(sample.ids[i]);
      if (i + 1 >= sample.labels.size() || sample.labels[i + 1] == ignored) continue;
      answer_rows.push_back(begin + static_cast<std::int64_t>(i));
      targets.push_back(sample.labels[i + 1]);
      weights.push_back(static_cast<float>(1.0 / terms));
    }
    batch.starts.push_back(begin + static_cast<std::int64_t>(sample.ids.size()));
    batch.images.insert(batch.images.end(), sample.images.begin(), sample.images.end());
    batch.numbers.push_back(sample.number);
  }
  batch.ids_T = tensor_of(ids);
  batch.positions_T = positions_of(samples);
  batch.answer_rows_A = tensor_of(answer_rows);
  batch.targets_A = tensor_of(targets);
  batch.weights_A = at::tensor(weights, at::kFloat);
  return batch;
}

}  // namespace retain::models
