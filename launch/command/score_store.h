// SPDX-License-Identifier: Apache-2.0
// `retain score STORE`: answers that a run has kept, scored again.
#pragma once
#include <string>

#include "recipes/settings/extras.h"

namespace retain::launch {

/// Empty members: whatever each evaluation used.
struct RescoreOptions {
  std::string store;
  std::string metric;
  std::string mode;
  std::string average;
  std::string stage;      ///< branch, tag or id; empty: all
  std::string benchmark;  ///< empty: all
  bool answers = false;
};

/// One JSON line an evaluation, by benchmark and stage: {"benchmark", "stage", "metric", "mode", "average", "score", "samples",
/// "kept": the score by the evaluation's own rule[, "categories", "answers"]}; "score" is null where the metric speaks of none of its
/// questions. Throws Error(data_empty) when the store has nothing of the kind.
int score_store(const RescoreOptions& options, const recipes::Extras& extras);

}  // namespace retain::launch
