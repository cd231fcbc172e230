// SPDX-License-Identifier: Apache-2.0
// Which branches an experiment has: every recipe in every order of the tasks, once a seed.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/config/toml.h"
#include "recipes/settings/train_settings.h"

namespace retain::recipes {

struct Experiment;
struct Recipe;
struct Task;

/// One way through the tasks.
struct TeachingOrder {
  std::string name;                ///< "given", or the tasks' places in the given order from 1: "3-1-2"; "orderK" for long ones
  std::vector<std::size_t> tasks;  ///< positions in Experiment::tasks
};

struct StudyPlan {
  std::vector<TeachingOrder> orders;  ///< at least one
  std::vector<std::uint64_t> seeds;   ///< empty: the tasks' own
  int concurrent_branches = 1;        ///< groups of ranks that teach side by side
};

/// `[study]`: `seeds`, `concurrent_branches`; `orders` = "given", "all", { random = k, seed = s } or lists of task
/// names. Throws Error(config_invalid) for names of no task or named twice in a list, equal orders, and more orders
/// than there are or than 5040.
StudyPlan read_study(const framework::ConfigTable& study, const std::vector<std::string>& tasks);

/// A recipe that teaches the tasks in one order with one seed.
struct PlannedBranch {
  std::string name;                    ///< of the store's branch: RECIPE[.ORDER][.sSEED], parts that vary in the study
  const Recipe* recipe = nullptr;
  const TeachingOrder* order = nullptr;
  std::optional<std::uint64_t> seed;

  TrainSettings settings(const Task& task) const;
};

/// Seed by seed, so that a study under way already compares all recipes; in a seed recipe by recipe, then order by order. Points
/// into `experiment`. Throws Error(config_invalid) where two branches would have one name.
std::vector<PlannedBranch> branches_of(const Experiment& experiment);

/// A stage that a study teaches once: branches of one recipe and seed share those before their orders part.
struct StudyStage {
  const PlannedBranch* branch = nullptr;  ///< the first that passes here
  std::size_t place = 0;                  ///< in its order
  std::optional<std::size_t> parent;      ///< index of the stage before; none: the base
  std::size_t weight = 1;                 ///< stages that begin here or later on: this one and all that follow
};

struct StudyTree {
  std::vector<StudyStage> stages;                ///< parents before what follows them, otherwise as the branches stand
  std::vector<std::vector<std::size_t>> paths;   ///< by branch: its stages in order
};

/// Points into `branches`.
StudyTree tree_of(const std::vector<PlannedBranch>& branches);

}  // namespace retain::recipes
