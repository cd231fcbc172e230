// SPDX-License-Identifier: Apache-2.0
// The equal-budget guard: comparisons between branches that were not taught with the same means are marked.
#pragma once
#include <string>
#include <vector>

#include "framework/report/study.h"

namespace retain::framework {

/// A branch's budget with one more stage. Steps and tokens stay unknown (0) once a stage's are.
Budget with_stage(const Budget& branch, const Budget& stage);

/// One sentence for each of mode, global batch, optimizer steps and tokens in which finished branches (those with the most stages)
/// differ, naming who had what; empty when all are equal. Tokens count as different from 1 % of the largest on, since seeds leave
/// different records in an incomplete last batch; branches whose tokens are unknown are not compared in them.
std::vector<std::string> unequal_budgets(const std::vector<const Study*>& studies);

}  // namespace retain::framework
