// SPDX-License-Identifier: Apache-2.0
// The paper's findings (arXiv 2510.08564) held against a report: which appear, which do not, which cannot be told.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "framework/report/pooled.h"

namespace retain::framework {

enum class Verdict : std::uint8_t {
  appears,      ///< the whole interval lies on the finding's side
  contradicted, ///< the whole interval lies on the other side
  open,         ///< there is no interval, or it holds zero
  unmeasured    ///< the recipes, samples or probes it needs are not there
};
std::string name_of(Verdict verdict);

struct Finding {
  std::string claim;
  std::string where;      ///< the recipe, pair or source it was looked for in; empty: nowhere
  Interval figure;
  std::string unit;       ///< what the figure is
  Verdict verdict;
};

/// Which side of zero an interval lies on.
Verdict verdict_of(const Interval& figure, bool expect_above);

/// Every finding once for every recipe (pair, source) that can show it, over all its orders and seeds; one unmeasured line where none
/// can. `pooled`: of the same report.
std::vector<Finding> find_findings(const Report& report, const std::vector<PooledRecipe>& pooled);

}  // namespace retain::framework
