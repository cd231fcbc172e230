// SPDX-License-Identifier: Apache-2.0
// Does forgetting follow a drift of the output? Correlations over the stages of a study.
#pragma once
#include <string>
#include <vector>

#include "framework/report/analysis.h"

namespace retain::framework {

/// One for each probe of each source.
std::vector<Drift> find_drifts(const Report& report);

/// "40 stages of 4 recipes in 3 orders": what a drift's intervals rest on.
std::string units_of(const Drift& drift);

}  // namespace retain::framework
