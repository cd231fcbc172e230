// SPDX-License-Identifier: Apache-2.0
// Intervals for a mean over runs that all answered the same questions: other runs and other questions could have been drawn.
#pragma once
#include <vector>

#include "framework/statistics/bootstrap.h"

namespace retain::framework {

/// Mean over the runs of Σ weight · mean over a stratum. runs[r][i] is stratum i of run r; value q of it belongs to the same
/// question in every run. Each resample draws runs with replacement and, in each stratum, questions, the same for all runs: the
/// pigeonhole bootstrap (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007), somewhat too wide rather than
/// too narrow. With one run only the questions are drawn; a stratum of one value is not redrawn. All NaN without runs or values, and
/// where runs differ in the shape of their strata. Throws Error(usage) as bootstrap() does.
Interval crossed_bootstrap(const std::vector<std::vector<Stratum>>& runs, const BootstrapOptions& options = {});

/// One run's figures, position by position.
struct PairedSeries {
  std::vector<double> x, y;
};

/// Spearman's ρ over all positions of all runs; the interval redraws whole runs, since positions of one run depend on each
/// other. No interval below four runs; the estimate is spearman()'s.
Interval clustered_spearman(const std::vector<PairedSeries>& runs, const BootstrapOptions& options = {});

}  // namespace retain::framework
