// SPDX-License-Identifier: Apache-2.0
// The order in which one pipeline stage computes and talks: one-forward-one-backward (1F1B, PipeDream-Flush: Narayanan et
// al. 2021, arXiv 2104.04473, section 2.2.1), with backward passes and gradient messages only where something is trained.
#pragma once
#include <vector>

namespace retain::parallel {

enum class PipelineActionKind { receive_activation, forward, send_activation, receive_gradient, backward, send_gradient };

struct PipelineAction {
  PipelineActionKind kind = PipelineActionKind::forward;
  int micro_batch = 0;
  bool operator==(const PipelineAction&) const = default;
};

/// What one micro-batch's backward pass asks of a pipeline stage.
struct BackwardNeed {
  bool here = true;   ///< something is trained on this pipeline stage or below it: a backward pass runs here
  bool below = true;  ///< something is trained below: the gradient of the input is sent on
};

/// The actions of pipeline stage `stage` of `stages` for needs.size() micro-batches, in order. Pipeline stage p keeps at
/// most stages - p micro-batches between their forward and backward passes. The last pipeline stage's backward needs no
/// received gradient. With sends that do not block, the lists of all pipeline stages never deadlock.
std::vector<PipelineAction> one_forward_one_backward(int stages, int stage, const std::vector<BackwardNeed>& needs);

}  // namespace retain::parallel
