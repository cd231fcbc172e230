// SPDX-License-Identifier: Apache-2.0
// `retain` with a method and a metric of one's own; everything else, every mesh included, is Retain's.
#include <ATen/ATen.h>

#include "launch/command_line.h"

namespace {

using namespace retain;

/// Activation regularisation (Merity et al. 2017, arXiv 1708.01009): λ · the mean square of the last hidden states, here of
/// those that predict an answer, weighted as its cross-entropy is.
class QuietRun final : public recipes::MethodRun {
 public:
  explicit QuietRun(double lambda) : lambda_(lambda) {}

  at::Tensor loss_term(std::size_t /*micro_batch*/, const models::MicroBatch& batch, const at::Tensor& hidden_TH) override {
    const at::Tensor hidden_AH = hidden_TH.index_select(0, batch.answer_rows_A).to(at::kFloat);
    return lambda_ * (batch.weights_A * hidden_AH.square().mean(1)).sum();
  }

 private:
  double lambda_;
};

class Quiet final : public recipes::Method {
 public:
  explicit Quiet(recipes::MethodSetup setup)
      : Method(std::move(setup.groups)), lambda_(setup.settings.number("lambda", 0.1, 0, 1e6)) {}

  framework::json::object describe() const override { return {{"method", "quiet"}, {"lambda", lambda_}}; }
  std::unique_ptr<recipes::MethodRun> begin(const recipes::MethodStart& /*start*/) const override {
    return std::make_unique<QuietRun>(lambda_);
  }

 private:
  double lambda_;
};

/// 1 when a reference stands anywhere in the prediction.
double mentions(const framework::ScoreInput& input) {
  for (const std::string& reference : input.references)
    if (input.prediction.find(reference) != std::string::npos) return 1;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  recipes::Extras extras;
  extras.methods.add("quiet", [](recipes::MethodSetup setup) { return std::make_shared<Quiet>(std::move(setup)); });
  extras.metrics["mentions"] = mentions;
  return launch::run_command_line(argc, argv, extras);
}
