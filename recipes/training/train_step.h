// SPDX-License-Identifier: Apache-2.0
// One optimizer step: micro-batches through the pipeline, gradients over the mesh, clipping, AdamW.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/lmm/lmm.h"
#include "parallel/data_parallel.h"
#include "parallel/gradients.h"
#include "parallel/optimizer.h"
#include "parallel/pipeline/runner.h"
#include "recipes/methods/method.h"
#include "recipes/settings/train_settings.h"
#include "recipes/training/lmm_stage.h"
#include "recipes/training/trainable.h"

namespace retain::recipes {

struct StepResult {
  double loss = 0;                       ///< of the global batch, over all ranks
  double grad_norm = 0;                  ///< before clipping, over all axes
  bool skipped = false;                  ///< a loss or gradient was not finite and settings say skip: nothing was updated
  std::vector<std::string> non_finite;   ///< then: the parameters whose gradient was not finite
  parallel::PipelineSavings savings;     ///< of this rank
};

class TrainStep {
 public:
  /// Marks exactly `selected` as trained in `model`, which outlives this, as `method` does where it is not null. Optimizer
  /// memory is taken here.
  TrainStep(models::Lmm& model, const TrainSettings& settings, const std::vector<Selected>& selected, MethodRun* method = nullptr);

  /// Collective over the mesh. `batches`: this replica's micro-batches, the same on all its ranks; their number may differ
  /// between replicas and be 0. `rates`: the learning rate of each group of `selected`.
  /// Throws Error(training_non_finite) naming the parameters, unless settings say skip.
  StepResult run(std::span<const models::MicroBatch> batches, const std::vector<double>& rates);

  parallel::Gradients& gradients() noexcept { return gradients_; }
  parallel::Optimizer& optimizer() noexcept { return optimizer_; }
  parallel::GradientReducer& reducer() noexcept { return reducer_; }

 private:
  std::vector<std::string> name_non_finite(const parallel::ReducedGradients& reduced);

  models::Lmm& model_;
  TrainSettings settings_;
  MethodRun* method_;
  StageTraining training_;
  std::vector<std::size_t> groups_;  ///< by trained parameter of this rank
  parallel::Gradients gradients_;
  parallel::GradientReducer reducer_;
  parallel::Optimizer optimizer_;
  parallel::PipelineRunner runner_;
};

/// The optimizer's part of the settings.
parallel::AdamWSettings adamw_settings(const TrainSettings& settings);

}  // namespace retain::recipes
