// SPDX-License-Identifier: Apache-2.0
// Which parameters a recipe trains: named sets of patterns over canonical names (paper: "How to Teach Large Multimodal
// Models New Skills", arXiv 2510.08564; selections as in its released code, matched semantically, never by substring).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "parallel/parameter.h"

namespace retain::recipes {

/// Patterns with their own learning rate.
struct TrainableGroup {
  std::vector<std::string> patterns;  ///< a recipe name (sa_proj), "layers:a-b", or a glob over canonical names
  double learning_rate = 0;           ///< 0: the run's
};

/// One parameter's fate.
struct Selected {
  std::string name;
  std::size_t group = 0;
};

/// The named recipes, in the order shown to users.
std::vector<std::string> recipe_names();

/// The parameters a list of groups selects, in table order; a name in several groups belongs to the first.
/// Throws Error(recipe_matches_nothing) naming the pattern and the nearest valid ones when a pattern selects nothing.
std::vector<Selected> select(const parallel::ParameterTable& table, const std::vector<TrainableGroup>& groups);

}  // namespace retain::recipes
