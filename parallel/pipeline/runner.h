// SPDX-License-Identifier: Apache-2.0
// Runs the micro-batches of one optimizer step through the pipeline. Shape suffixes: T packed tokens, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/comm/communicator.h"

namespace retain::parallel {

/// What a model part offers to the pipeline. All pipeline stages of a replica answer the same for the same micro-batch.
class PipelineComputation {
 public:
  virtual ~PipelineComputation() = default;
  virtual int micro_batches() const = 0;
  /// Shape of the activation that crosses every pipeline stage boundary, [T,H].
  virtual std::vector<std::int64_t> activation_shape(int micro_batch) const = 0;
  virtual at::ScalarType activation_type() const = 0;
  /// Whether the forward pass of this micro-batch on that pipeline stage uses a trained parameter.
  virtual bool trains(int pipeline_stage, int micro_batch) const = 0;
  /// This pipeline stage's forward pass; `input_TH` is undefined on the first. Returns the activation, or on the last
  /// pipeline stage the float32 scalar loss of the micro-batch.
  virtual at::Tensor forward(int micro_batch, const at::Tensor& input_TH) = 0;
};

/// What freezing saved on this rank in one run.
struct PipelineSavings {
  std::int64_t backward_passes = 0;  ///< micro-batches whose backward pass did not run here
  std::int64_t gradient_bytes = 0;   ///< of gradients not sent to the previous pipeline stage
};

class PipelineRunner {
 public:
  /// `pipeline` outlives the runner.
  explicit PipelineRunner(Communicator& pipeline) : pipeline_(pipeline) {}

  /// Forward and backward of all micro-batches by one_forward_one_backward; gradients accumulate in the leaves. Forward
  /// passes that need no backward keep nothing. Returns the sum of the losses on the last pipeline stage, 0 elsewhere.
  double run(PipelineComputation& computation);

  /// Forward passes only, without autograd. Returns as run().
  double evaluate(PipelineComputation& computation);

  /// Of the latest run.
  const PipelineSavings& savings() const noexcept { return savings_; }

 private:
  Communicator& pipeline_;
  PipelineSavings savings_;
};

}  // namespace retain::parallel
