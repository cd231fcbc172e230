// SPDX-License-Identifier: Apache-2.0
// 1F1B: a warm-up of forward passes, then one forward and one backward in turn, then the remaining backward passes.
#include "parallel/pipeline/schedule.h"

#include <algorithm>

namespace retain::parallel {

std::vector<PipelineAction> one_forward_one_backward(int stages, int stage, const std::vector<BackwardNeed>& needs) {
  using Kind = PipelineActionKind;
  const int micro_batches = static_cast<int>(needs.size());
  const bool first = stage == 0;
  const bool last = stage == stages - 1;
  std::vector<PipelineAction> actions;
  const auto forward = [&](int m) {
    if (!first) actions.push_back({Kind::receive_activation, m});
    actions.push_back({Kind::forward, m});
    if (!last) actions.push_back({Kind::send_activation, m});
  };
  const auto backward = [&](int m) {
    const BackwardNeed need = needs[static_cast<std::size_t>(m)];
    if (!need.here) return;
    if (!last) actions.push_back({Kind::receive_gradient, m});
    actions.push_back({Kind::backward, m});
    if (!first && need.below) actions.push_back({Kind::send_gradient, m});
  };
  const int warm_up = std::min(stages - stage - 1, micro_batches);
  for (int m = 0; m < warm_up; ++m) forward(m);
  for (int m = warm_up; m < micro_batches; ++m) {
    forward(m);
    backward(m - warm_up);
  }
  for (int m = micro_batches - warm_up; m < micro_batches; ++m) backward(m);
  return actions;
}

}  // namespace retain::parallel
