// SPDX-License-Identifier: Apache-2.0
// The tables of a report, the same on the page and in the summary.
#pragma once
#include <vector>

#include "framework/report/analysis.h"
#include "framework/report/table.h"

namespace retain::framework {

/// Learning, forgetting and transfer, one row a branch.
Table measures_table(const Report& report);
/// Mean and deviation over seeds, one row a recipe and order; no rows where no recipe has two seeds.
Table seeds_table(const Report& report);
/// Change of every benchmark from the base to the last stage, with intervals; of one source.
Table changes_table(const Report& report, std::size_t source);
/// Two recipes each row: differences and McNemar's test.
Table pairs_table(const Report& report);
/// Each drop of a held-out benchmark: what came back, when, and what stayed lost.
Table recovery_table(const Report& report);
/// Their sums, one row a recipe and order.
Table recovery_sums_table(const Report& report);
/// Correlation of each probe with forgetting.
Table drift_table(const Report& report);
/// Score of every stage on every benchmark, per cent; of one source.
Table matrix_table(const Report& report, std::size_t source);

}  // namespace retain::framework
