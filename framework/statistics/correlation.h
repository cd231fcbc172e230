// SPDX-License-Identifier: Apache-2.0
// Correlation, as of drift with forgetting over stages. For intervals see crossed_correlation.h.
#pragma once
#include <span>
#include <vector>

namespace retain::framework {

// Pairs with a NaN are left out. NaN below three pairs or when one side does not vary. Both throw Error(data_invalid) when x and y
// differ in number.

/// Pearson's r.
double pearson(std::span<const double> x, std::span<const double> y);

/// Spearman's ρ: Pearson's r of the ranks, ties sharing their mean rank.
double spearman(std::span<const double> x, std::span<const double> y);

/// Ranks from 1, ties sharing their mean rank.
std::vector<double> ranks(std::span<const double> values);

}  // namespace retain::framework
