// SPDX-License-Identifier: Apache-2.0
// Looks into one stage while it is taught: probes after given steps, and rules that act on what they watch. Every figure is kept, so
// that a run that was stopped neither repeats nor loses one, and acts as it would have acted.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "framework/base/log.h"
#include "framework/report/study.h"
#include "recipes/study/stage_measures.h"
#include "recipes/training/trainer.h"

namespace retain::recipes {

/// The stage that is being taught.
struct InspectedStage {
  std::string key;                 ///< memo key of the teaching
  std::string title;               ///< for people
  std::string parent;              ///< the stage it began as
  std::set<std::string> changed;   ///< parameters it trains
};

class StageInspection {
 public:
  /// All but `stage` outlive this.
  StageInspection(const std::vector<Watch>& watches, const StageMeasures& measures, parallel::ShardedStore& store,
                  const framework::Log& log, InspectedStage stage);

  /// Collective: goes on from the newest state that is kept of the stage, also from one that a rule keeps. False when there is none.
  /// Throws Error(io) where none is intact and one cannot be read.
  bool resume(Trainer& trainer);
  /// Collective, after `steps` steps: reads the probes that are due, then holds the figures that are watched against their bounds.
  /// The model is as it was afterwards, unless a rule rolled it back.
  Inspection inspect(std::int64_t steps, Trainer& trainer, models::Lmm& model);

  /// What the rules did, in order: `step`, `watch`, `figure`, `start`, `passed`, `action`, `rate_factor`, and of a roll back
  /// `to_step`. The same on every rank.
  const framework::json::array& actions() const noexcept { return actions_; }
  /// Collective: removes every state that is kept of the stage of that key.
  static void clear(parallel::ShardedStore& store, const std::string& key);

  /// Collective: the readings that are kept of a stage that took `total` steps and saw these actions, in order of steps; of steps that
  /// were done twice the last.
  std::vector<framework::StudyStep> kept(std::int64_t total, const framework::json::array& actions) const;

 private:
  /// Names the running weights in memo keys.
  framework::json::object place(std::int64_t steps, std::int64_t rolled_back) const;
  double figure_of(const Watch& watch, std::int64_t steps, std::int64_t rolled_back, models::Lmm& model) const;
  Inspection act(const Watch& watch, framework::json::object what, std::int64_t steps, Trainer& trainer);
  void note(Trainer& trainer) const;

  const std::vector<Watch>& watches_;
  const StageMeasures& measures_;
  parallel::ShardedStore& store_;
  const framework::Log& log_;
  InspectedStage stage_;
  double rate_factor_ = 1;
  std::int64_t rolled_back_ = 0;
  framework::json::array actions_;
};

}  // namespace retain::recipes
