// SPDX-License-Identifier: Apache-2.0
// Correlation with a confidence interval, as of drift with forgetting over stages.
#pragma once
#include <span>
#include <vector>

#include "framework/statistics/bootstrap.h"

namespace retain::framework {

// Pairs with a NaN are left out. The estimate is NaN below three pairs or when one side does not vary; the interval also below
// four pairs and at ±1. It takes the pairs to be independent draws. Both throw Error(data_invalid) when x and y differ in
// number.

/// Pearson's r with Fisher's interval tanh(atanh r ∓ z / √(n − 3)) (Fisher 1921) at 95 %.
Interval pearson(std::span<const double> x, std::span<const double> y);

/// Spearman's ρ: Pearson's r of the ranks, ties sharing their mean rank; the interval takes Fieller, Hartley and Pearson's (1957)
/// variance 1.06 / (n − 3).
Interval spearman(std::span<const double> x, std::span<const double> y);

/// Ranks from 1, ties sharing their mean rank.
std::vector<double> ranks(std::span<const double> values);

}  // namespace retain::framework
