// SPDX-License-Identifier: Apache-2.0
// The teacher runs through the pipeline before the student does; the last pipeline stage keeps its hidden states at the
// positions compared. K: such positions, V: vocabulary columns of this rank.
#include "recipes/methods/lwf.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "framework/base/random.h"
#include "parallel/tensor/vocab_distillation.h"
#include "recipes/evaluation/hidden_pass.h"
#include "recipes/training/reference_weights.h"

namespace retain::recipes {

namespace {

namespace json = framework::json;

constexpr std::int64_t kMostRows = 1000;
constexpr std::int64_t kLogitBytes = std::int64_t{1} << 30;  // of two float32 tensors [K, whole vocabulary]

/// Rows of the packed tokens and their weights in the loss.
struct ComparedRows {
  at::Tensor rows_K, weights_K;
};

ComparedRows released_of(const models::MicroBatch& batch, std::int64_t vocabulary, std::uint64_t seed) {
  std::vector<std::int64_t> rows;
  std::vector<float> weights;
  for (std::size_t s = 0; s + 1 < batch.starts.size(); ++s) {
    const auto chosen = released_rows(batch.starts[s + 1] - batch.starts[s], vocabulary, seed, batch.numbers.at(s));
    for (const std::int64_t row : chosen) {
      rows.push_back(batch.starts[s] + row);
      weights.push_back(static_cast<float>(batch.sample_weight / static_cast<double>(chosen.size())));
    }
  }
  return {at::tensor(rows, at::kLong), at::tensor(weights, at::kFloat)};
}

class LwfRun final : public MethodRun {
 public:
  LwfRun(const MethodStart& start, double lambda, double temperature, Lwf::Positions positions)
      : student_(start.model),
        teacher_(start.model.config(), start.model.mesh(), start.model.partition(), start.model.table(), reference_weights(start),
                 {.recompute_activations = false, .features = start.model.options().features}),
        seed_(start.settings.seed),
        lambda_(lambda),
        temperature_(temperature),
        positions_(positions) {}

  void before_step(std::span<const models::MicroBatch> batches) override {
    compared_.clear();
    for (const models::MicroBatch& batch : batches)
      compared_.push_back(positions_ == Lwf::Positions::answers ? ComparedRows{batch.answer_rows_A, batch.weights_A}
                                                                : released_of(batch, student_.config().text.vocabulary, seed_));
    std::vector<at::Tensor> rows_K;
    for (const ComparedRows& compared : compared_) rows_K.push_back(compared.rows_K);
    hidden_ = hidden_at(teacher_, batches, rows_K);
  }

  at::Tensor loss_term(std::size_t m, const models::MicroBatch& /*batch*/, const at::Tensor& hidden_TH) override {
    const ComparedRows& compared = compared_.at(m);
    at::Tensor teacher_KV;
    {
      const at::NoGradGuard no_gradient;
      const at::Tensor hidden_KH = std::exchange(hidden_.at(m), {});
      teacher_KV = teacher_.local_logits(hidden_KH, at::arange(hidden_KH.size(0), at::kLong));
    }
    const at::Tensor student_KV = student_.local_logits(hidden_TH, compared.rows_K);
    return parallel::vocab_distillation(student_KV, teacher_KV, compared.weights_K.to(student_KV.device()) * lambda_, temperature_,
                                        student_.mesh().tensor());
  }

 private:
  models::Lmm& student_;
  models::Lmm teacher_;
  std::uint64_t seed_;
  double lambda_, temperature_;
  Lwf::Positions positions_;
  std::vector<ComparedRows> compared_;  ///< by micro-batch of this step
  std::vector<at::Tensor> hidden_;      ///< [K,H] of the teacher before its final norm, on the last pipeline stage
};

}  // namespace

std::vector<std::int64_t> released_rows(std::int64_t positions, std::int64_t vocabulary, std::uint64_t seed, std::int64_t number) {
  if (positions <= 0) return {};
  const std::int64_t count = std::min(positions / 5, kMostRows);
  if (count == 0) return {positions - 1};
  const std::int64_t edge = count * 2 / 5, middle = count - 2 * edge, between = positions - 2 * edge;
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < edge; ++i) rows.push_back(i);
  for (std::int64_t i = 0; i < middle; ++i) rows.push_back(edge + i * between / middle);
  for (std::int64_t i = positions - edge; i < positions; ++i) rows.push_back(i);
  const std::int64_t most = std::max<std::int64_t>(1, kLogitBytes / (2 * 4 * vocabulary));
  if (count <= most) return rows;
  framework::Random random(seed, "lwf/sample=" + std::to_string(number));
  std::vector<std::int64_t> kept;
  const std::vector<std::int64_t> order = random.permutation(count);
  for (std::int64_t i = 0; i < most; ++i) kept.push_back(rows[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])]);
  std::sort(kept.begin(), kept.end());
  return kept;
}

Lwf::Lwf(MethodSetup setup)
    : Method(std::move(setup.groups)),
      lambda_(setup.settings.number("lambda", 1.0, 0, 1e6)),
      temperature_(setup.settings.number("temperature", 2.0, 1e-3, 1e3)),
      teacher_(setup.settings.text("teacher", "previous")),
      positions_(setup.settings.choice("positions", {"answers", "released"}, setup.faithful ? "released" : "answers") == "answers"
                     ? Positions::answers
                     : Positions::released) {}

json::object Lwf::describe() const {
  return {{"method", "lwf"}, {"lambda", lambda_}, {"temperature", temperature_},
          {"positions", positions_ == Positions::answers ? "answers" : "released"}};
}

std::unique_ptr<MethodRun> Lwf::begin(const MethodStart& start) const {
  return std::make_unique<LwfRun>(start, lambda_, temperature_, positions_);
}

}  // namespace retain::recipes
