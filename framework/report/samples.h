// SPDX-License-Identifier: Apache-2.0
// Answers of the base and of every recipe side by side.
#pragma once
#include <string>
#include <vector>

#include "framework/report/analysis.h"

namespace retain::framework {

struct SampleRow {
  std::string benchmark;
  KeptAnswer base;                  ///< with the question and the references
  std::vector<KeptAnswer> answers;  ///< after each branch's last stage, as in SampleTable::branches
};

struct SampleTable {
  std::vector<std::size_t> branches;  ///< of Report::branches
  std::vector<SampleRow> rows;
};

/// Of one source: for every benchmark whose answers are kept, the first `most` questions that the base and the branches do not
/// all score alike. The first seed of each recipe, eight recipes at most.
SampleTable compare_answers(const Report& report, std::size_t source, std::size_t most = 3);

}  // namespace retain::framework
