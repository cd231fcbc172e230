// SPDX-License-Identifier: Apache-2.0
// Percentile bootstrap intervals from per-sample figures (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993,
// chapters 13 and 15), paired by giving it the differences of the same samples.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace retain::framework {

/// Both ends NaN where no interval can be given.
struct Interval {
  double estimate;
  double low;
  double high;
  bool known() const noexcept { return low <= high; }
  bool above(double value) const noexcept { return low > value; }
  bool below(double value) const noexcept { return high < value; }
};

/// An estimate without an interval.
Interval without_interval(double estimate);

/// Samples drawn among themselves: those of a benchmark, or of one of its categories.
struct Stratum {
  std::vector<double> values;  ///< NaN values are left out
  double weight = 1;           ///< of its mean in the estimate
};

struct BootstrapOptions {
  double level = 0.95;
  std::int64_t resamples = 2000;
  std::uint64_t seed = 0;
};

/// Σ weight · mean over the strata, with the percentiles (1 ∓ level) / 2 of the same figure over resamples in which every
/// stratum is redrawn with replacement on its own; percentiles interpolate linearly between order statistics. Equal input and
/// seed give equal bits everywhere. An estimate without an interval when no stratum has two values; all NaN when a stratum has no
/// value or there is none. Throws Error(usage) for a level outside (0, 1) or fewer than 100 resamples.
Interval bootstrap(const std::vector<Stratum>& strata, const BootstrapOptions& options = {});

/// later − earlier, sample by sample. Throws Error(data_invalid) when they differ in number.
std::vector<double> paired_differences(std::span<const double> earlier, std::span<const double> later);

/// The p-quantile (0 to 1) of sorted values, linear between order statistics. Throws Error(internal) without values.
double quantile(std::span<const double> sorted, double p);

}  // namespace retain::framework
