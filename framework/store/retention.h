// SPDX-License-Identifier: Apache-2.0
// Which stages of a branch are worth keeping.
#pragma once
#include <cstdint>
#include <set>
#include <string>

#include "framework/store/store.h"

namespace retain::framework {

/// Rules over a branch's line of first parents, its newest stage first; stages that gc removed from it earlier keep their places
/// in the line, so the same rules again keep the same. A stage stays where any rule keeps it; without rules all
/// stay. Branch heads, stages without parents (base models), tagged ones and those of mid-stage checkpoints always stay, and so
/// does a file that holds tensors of a stage that stays.
struct RetentionRules {
  std::int64_t last = 0;     ///< the newest n of each branch
  std::int64_t every = 0;    ///< each n-th, counted from the base
  std::string best;          ///< the best of each branch by this benchmark's score in STORE/study.json, or by "held_out", the mean
  bool any() const { return last > 0 || every > 0 || !best.empty(); }
};

/// Ids of the stages to keep, with the files that hold their tensors. Throws Error(store_invalid) where study.json cannot be read,
/// Error(usage) for a benchmark that it lacks.
std::set<std::string> retained(const Store& store, const RetentionRules& rules);

}  // namespace retain::framework
