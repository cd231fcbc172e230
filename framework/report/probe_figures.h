// SPDX-License-Identifier: Apache-2.0
// What probes read at stage ends and inside stages: curves over steps and layers, and answers side by side.
#pragma once
#include <string>
#include <vector>

#include "framework/report/analysis.h"
#include "framework/report/svg.h"
#include "framework/report/table.h"

namespace retain::framework {

/// Every probe's figure at every place of a source where one was read, one row each; no rows without probes.
Table probes_table(const Report& report, std::size_t source);
/// Every layer's figure, one row a reading and layer, of the base's stages' ends and of all steps; no rows without such a probe.
Table layers_table(const Report& report, std::size_t source);

/// A probe over the steps of each stage inside which it was read, from the stage's start to its end; the first seed of each recipe.
std::vector<Chart> step_curves(const Report& report, std::size_t source);
/// The layers' figures after the last stage of the first seed of each recipe, attention and MLP.
std::vector<Chart> layer_curves(const Report& report, std::size_t source);

/// An answer of a `samples` probe's question at one place.
struct WrittenAnswers {
  std::string place;                 ///< "base", or branch, stage and step
  std::vector<std::string> answers;  ///< by question
};
struct WrittenTable {
  std::string probe;
  std::vector<std::string> questions;
  std::vector<WrittenAnswers> rows;
};
/// The first `most` questions of each such probe, the base first, then each stage's steps and end; the first seed of each recipe.
std::vector<WrittenTable> written_answers(const Report& report, std::size_t source, std::size_t most = 4);

/// What a probe's figure is ("probability of its tokens"), by what its reading says; "figure" where none is kept.
std::string unit_of(const StudySource& source, const std::string& probe);

/// Shown in percentage points; others as they are. A probe of which no reading is kept is taken for one.
bool is_probability(const StudySource& source, const std::string& probe);
/// The probability of number tokens, of which the paper's findings speak.
bool is_number_bias(const StudySource& source, const std::string& probe);

}  // namespace retain::framework
