// SPDX-License-Identifier: Apache-2.0
// Intervals for a mean over runs that all answered the same questions: other runs and other questions could have been drawn.
#pragma once
#include <vector>

#include "framework/statistics/bootstrap.h"

namespace retain::framework {

/// Mean over the runs of Σ weight · mean over a stratum. runs[r][i] is stratum i of run r; value q of it belongs to the same
/// question in every run. Two intervals around it, one for each kind of draw, are joined by adding the squares of their
/// reaches on either side (MOVER: Zou & Donner, "Construction of confidence limits about effect measures", Statistics in
/// Medicine 2008):
///   runs       Student's t of the runs' figures with n − 1 degrees of freedom; a bootstrap of n = 2, 3, 5 or 9 runs holds
///              the truth in about 50, 74, 83 or 90 % of cases instead of 95;
///   questions  bootstrap() of each question's mean over the runs, stratum by stratum.
/// Holds the truth as often as it says where one kind of draw outweighs the other, and more often (too wide) where both matter
/// or runs differ mostly in single answers, whose noise both parts hold. `draws`: for every run the number of the draw it
/// belongs to, as runs of one order of tasks belong together; t is then of the draws' means, n their number. Empty, or one
/// draw for all: each run is a draw. With one run only the questions are drawn; strata of one value leave the runs alone.
/// Without an interval for one run of such strata; all NaN without runs or values, and where runs differ in the shape of their
/// strata. Throws Error(usage) as bootstrap() does, Error(internal) for another number of draws than runs.
Interval crossed_interval(const std::vector<std::vector<Stratum>>& runs, const BootstrapOptions& options = {},
                          const std::vector<std::size_t>& draws = {});

}  // namespace retain::framework
