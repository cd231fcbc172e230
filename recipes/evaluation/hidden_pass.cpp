// SPDX-License-Identifier: Apache-2.0
// The model as the pipeline runner sees it when no loss is wanted.
#include "recipes/evaluation/hidden_pass.h"

#include <ATen/ATen.h>

#include "parallel/pipeline/runner.h"
#include "recipes/training/lmm_stage.h"

namespace retain::recipes {
namespace {

class HiddenPass final : public parallel::PipelineComputation {
 public:
  HiddenPass(models::Lmm& model, std::span<const models::MicroBatch> batches, const std::vector<at::Tensor>& rows_K)
      : stage_(model, batches, untrained_), model_(model), batches_(batches), rows_K_(rows_K), hidden_(batches.size()) {}

  int micro_batches() const override { return stage_.micro_batches(); }
  std::vector<std::int64_t> activation_shape(int m) const override { return stage_.activation_shape(m); }
  at::ScalarType activation_type() const override { return stage_.activation_type(); }
  bool trains(int /*pipeline_stage*/, int /*m*/) const override { return false; }
  at::Tensor forward(int m, const at::Tensor& input_TH) override {
    const auto i = static_cast<std::size_t>(m);
    const at::Tensor hidden_TH = model_.forward(batches_[i], input_TH);
    if (!model_.mesh().is_last_pipeline_stage()) return hidden_TH;
    hidden_[i] = hidden_TH.index_select(0, rows_K_.at(i).to(hidden_TH.device()));
    return at::zeros({}, at::kFloat);
  }

  std::vector<at::Tensor> take() { return std::move(hidden_); }

 private:
  StageTraining untrained_;
  LmmStage stage_;
  models::Lmm& model_;
  std::span<const models::MicroBatch> batches_;
  const std::vector<at::Tensor>& rows_K_;
  std::vector<at::Tensor> hidden_;
};

}  // namespace

std::vector<at::Tensor> hidden_at(models::Lmm& model, std::span<const models::MicroBatch> batches, const std::vector<at::Tensor>& rows_K) {
  HiddenPass pass(model, batches, rows_K);
  parallel::PipelineRunner(model.mesh().pipeline()).evaluate(pass);
  return pass.take();
}

}  // namespace retain::recipes
