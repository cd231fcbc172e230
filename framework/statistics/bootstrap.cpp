// SPDX-License-Identifier: Apache-2.0
#include "framework/statistics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/base/error.h"
#include "framework/base/random.h"

namespace retain::framework {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double mean_of_resample(const std::vector<double>& values, Random& random) {
  const auto count = static_cast<std::uint64_t>(values.size());
  double sum = 0;
  std::uint64_t bits = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    bits = i % 2 == 0 ? random.next() : bits >> 32;
    sum += values[((bits & 0xffffffffU) * count) >> 32];  // 32 bits scaled to the count: bias below count / 2^32
  }
  return sum / static_cast<double>(count);
}

}  // namespace

Interval without_interval(double estimate) { return {estimate, kNothing, kNothing}; }

double quantile(std::span<const double> sorted, double p) {
  if (sorted.empty()) throw Error(ErrorKind::internal, "a quantile of no values");
  const double place = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Interval bootstrap(const std::vector<Stratum>& strata, const BootstrapOptions& options) {
  if (!(options.level > 0 && options.level < 1) || options.resamples < 100)
    throw Error(ErrorKind::usage, {"no such bootstrap interval", "a level between 0 and 1, and 100 resamples or more",
                                   std::to_string(options.level) + ", " + std::to_string(options.resamples), "correct the option"});
  std::vector<Stratum> drawn = strata;
  double estimate = 0;
  for (Stratum& stratum : drawn) {
    std::erase_if(stratum.values, [](double value) { return std::isnan(value); });
    if (stratum.values.empty()) return without_interval(kNothing);
    estimate += stratum.weight * mean_of(stratum.values);
  }
  if (drawn.empty()) return without_interval(kNothing);
  const auto single = [](const Stratum& stratum) { return stratum.values.size() < 2; };
  if (std::all_of(drawn.begin(), drawn.end(), single)) return without_interval(estimate);  // every resample is the sample: not a certainty
  Random random(options.seed, "statistics/bootstrap");
  std::vector<double> figures(static_cast<std::size_t>(options.resamples), 0.0);
  for (double& figure : figures)
    for (const Stratum& stratum : drawn) figure += stratum.weight * mean_of_resample(stratum.values, random);
  std::sort(figures.begin(), figures.end());
  const double tail = (1 - options.level) / 2;
  return {estimate, quantile(figures, tail), quantile(figures, 1 - tail)};
}

std::vector<double> paired_differences(std::span<const double> earlier, std::span<const double> later) {
  if (earlier.size() != later.size())
    throw Error(ErrorKind::data_invalid, {"samples cannot be paired", std::to_string(earlier.size()) + " of them",
                                          std::to_string(later.size()), "compare answers to the same questions"});
  std::vector<double> differences(earlier.size());
  for (std::size_t i = 0; i < differences.size(); ++i) differences[i] = later[i] - earlier[i];
  return differences;
}

}  // namespace retain::framework
