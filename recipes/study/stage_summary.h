// SPDX-License-Identifier: Apache-2.0
// What a finished training stage tells people: what was left out, and what frozen parameters saved.
#pragma once
#include <cstdint>
#include <string>

#include "parallel/comm/communicator.h"
#include "recipes/training/trainable_table.h"
#include "recipes/training/trainer.h"

namespace retain::recipes {

/// Frozen vision features asked for on this rank.
struct FeatureUse {
  std::int64_t reused = 0;
  std::int64_t computed = 0;
};

/// Memory of a rank in bytes: what training held at most beyond what the run began with, and what was planned.
struct MemoryUse {
  std::int64_t measured = 0;
  std::int64_t planned = 0;
};

/// Collective over `world`: sums what its ranks saved. One line, the same on all ranks: steps skipped and records left out when
/// there are any; the share of the backward pass's operations that freezing spared (`work`, by the model's shape); passes and
/// bytes that the pipeline spared and pictures whose features were reused, when there are any; the memory of the fullest rank.
std::string stage_summary(parallel::Communicator& world, const TrainOutcome& outcome, const FeatureUse& features,
                          const BackwardWork& work, const MemoryUse& memory);

}  // namespace retain::recipes
