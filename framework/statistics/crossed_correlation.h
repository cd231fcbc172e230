// SPDX-License-Identifier: Apache-2.0
// Intervals for a correlation over figures that are not independent: all that were drawn together count once.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "framework/statistics/bootstrap.h"

namespace retain::framework {

/// For every pair the number of the draw it came with, as of its recipe, or of its order of tasks.
using Draws = std::vector<std::size_t>;

/// pearson() or spearman().
using Correlation = double (*)(std::span<const double> x, std::span<const double> y);

/// The correlation of all pairs. Its interval speaks of other draws of every kind in `kinds`, which may cross: a recipe is taught in
/// several orders, and an order to several recipes. For each kind with n ≥ 2 draws one draw with all its pairs is left out at a time
/// (jackknife: Efron & Tibshirani 1993, chapter 11), in Fisher's z, whose spread hardly depends on the correlation:
///   reach = t(n − 1) · √((n − 1) / n · Σ (z without a draw − their mean)²)
/// The reaches are joined by adding their squares, as crossed_interval() does, and likewise hold the truth more often than they say
/// where several kinds matter. No interval where no kind has two draws, where the pairs without a draw have no correlation, and at
/// ±1. A pair with a NaN is left out, and counts for no draw. Throws Error(internal) when a kind has another number of pairs, and what
/// the correlation throws.
Interval crossed_correlation(Correlation correlation, std::span<const double> x, std::span<const double> y,
                             const std::vector<Draws>& kinds, double level = 0.95);

}  // namespace retain::framework
