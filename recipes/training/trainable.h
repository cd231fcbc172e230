// SPDX-License-Identifier: Apache-2.0
// Which parameters a recipe trains: named sets of patterns over canonical names (paper: "How to Teach Large Multimodal
// Models New Skills", arXiv 2510.08564; selections as in its released code, matched semantically, never by substring).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "parallel/parameter.h"

namespace retain::recipes {

/// Patterns with their own learning rate. A pattern is a named recipe (sa_proj), "layers:a-b" or "layers:a" (decoder
/// layers a to b inclusive, counted from 0), a glob over canonical names (`*` any run of characters, dots included; `?`
/// one character), or several of these joined by '+' ("sa_proj+mlp_gate_up"). With '!' before it ("!layers:0-3") a pattern
/// freezes: what it names is trained in no group.
struct TrainableGroup {
  std::vector<std::string> patterns;
  double learning_rate = 0;  ///< 0: the run's
};

/// A parameter that is trained.
struct Selected {
  std::string name;
  std::size_t group = 0;
};

/// The named recipes, in the order shown to users.
std::vector<std::string> recipe_names();

/// One line on what a named recipe trains, for help texts. Throws Error(internal) for another name.
std::string recipe_description(const std::string& name);

/// The parameters a list of groups selects, in table order; a name in several groups belongs to the first.
/// Throws Error(recipe_matches_nothing) naming the pattern and the nearest valid ones when a pattern selects nothing.
std::vector<Selected> select(const parallel::ParameterTable& table, const std::vector<TrainableGroup>& groups);

/// "layers.3.mlp" -> "layers.*.mlp": numbers between dots become stars.
std::string without_indices(const std::string& name);

/// Sets requires_grad on the selected parameters this rank holds and clears it (and any gradient) on all others.
void mark_trainable(parallel::ParameterSet& parameters, const std::vector<Selected>& selected);

}  // namespace retain::recipes
