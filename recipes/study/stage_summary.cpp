// SPDX-License-Identifier: Apache-2.0
#include "recipes/study/stage_summary.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdio>

namespace retain::recipes {
namespace {

std::string percent(double share) { return std::to_string(std::lround(100 * share)) + " %"; }

std::string mebibytes(std::int64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

std::string megabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g MB", static_cast<double>(bytes) / 1e6);
  return text;
}

}  // namespace

std::string stage_summary(parallel::Communicator& world, const TrainOutcome& outcome, const FeatureUse& features,
                          const BackwardWork& work, const MemoryUse& memory) {
  at::Tensor sums = at::tensor(
      {outcome.savings.backward_passes, outcome.savings.gradient_bytes, features.reused, features.computed}, at::kLong);
  world.all_reduce(sums);
  at::Tensor largest = at::tensor({memory.measured, memory.planned}, at::kLong);
  world.all_reduce(largest, parallel::ReduceOp::max);
  const auto* sum = sums.const_data_ptr<std::int64_t>();
  const std::int64_t asked = sum[2] + sum[3];

  std::string text = std::to_string(outcome.next_step) + " steps done";
  if (outcome.skipped_steps > 0) text += ", " + std::to_string(outcome.skipped_steps) + " of them skipped: not finite";
  if (outcome.left_out > 0) text += ", " + std::to_string(outcome.left_out) + " records left out";
  const double spared = work.everything_trained > 0 ? 1 - work.as_selected / work.everything_trained : 0;
  text += "; freezing spared " + percent(spared) + " of the backward pass's operations";
  if (sum[0] > 0) text += ", " + std::to_string(sum[0]) + " backward passes of pipeline stages";
  if (sum[1] > 0) text += ", " + megabytes(sum[1]) + " of gradients between pipeline stages";
  if (sum[2] > 0)
    text += ", the vision tower for " + percent(static_cast<double>(sum[2]) / static_cast<double>(asked)) +
            " of the pictures";
  const auto* bytes = largest.const_data_ptr<std::int64_t>();
  return text + "; memory of the fullest rank " + mebibytes(bytes[0]) + ", planned " + mebibytes(bytes[1]);
}

}  // namespace retain::recipes
