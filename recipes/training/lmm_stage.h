// SPDX-License-Identifier: Apache-2.0
// A model part and this step's micro-batches, as the pipeline runner sees them.
#pragma once
#include <span>
#include <vector>

#include "models/lmm/lmm.h"
#include "parallel/pipeline/runner.h"
#include "recipes/methods/method.h"
#include "recipes/training/trainable.h"

namespace retain::recipes {

/// Which pipeline stages hold trained parameters, and which of those only pictures reach.
struct StageTraining {
  std::vector<bool> always;       ///< by pipeline stage: a trained parameter that every micro-batch uses
  std::vector<bool> with_images;  ///< a trained parameter of vision tower, projector or image_newline
};
StageTraining stage_training(const parallel::ParameterTable& table, const std::vector<Selected>& selected, int stages);

class LmmStage final : public parallel::PipelineComputation {
 public:
  /// All arguments outlive this; `method` may be null.
  LmmStage(models::Lmm& model, std::span<const models::MicroBatch> batches, const StageTraining& training, MethodRun* method = nullptr)
      : model_(model), batches_(batches), training_(training), method_(method) {}

  int micro_batches() const override { return static_cast<int>(batches_.size()); }
  std::vector<std::int64_t> activation_shape(int micro_batch) const override;
  at::ScalarType activation_type() const override;
  bool trains(int pipeline_stage, int micro_batch) const override;
  at::Tensor forward(int micro_batch, const at::Tensor& input_TH) override;

 private:
  models::Lmm& model_;
  std::span<const models::MicroBatch> batches_;
  const StageTraining& training_;
  MethodRun* method_;
};

}  // namespace retain::recipes
