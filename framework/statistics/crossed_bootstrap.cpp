// SPDX-License-Identifier: Apache-2.0
#include "framework/statistics/crossed_bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "framework/statistics/correlation.h"

namespace retain::framework {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kFewestClusters = 4;

using Runs = std::vector<std::vector<Stratum>>;

void require(const BootstrapOptions& options) {
  if (options.level > 0 && options.level < 1 && options.resamples >= 100) return;
  throw Error(ErrorKind::usage, {"no such bootstrap interval", "a level between 0 and 1, and 100 resamples or more",
                                 std::to_string(options.level) + ", " + std::to_string(options.resamples), "correct the option"});
}

bool alike(const Runs& runs) {
  if (runs.empty() || runs[0].empty()) return false;
  for (const std::vector<Stratum>& run : runs) {
    if (run.size() != runs[0].size()) return false;
    for (std::size_t i = 0; i < run.size(); ++i)
      if (run[i].values.empty() || run[i].values.size() != runs[0][i].values.size()) return false;
  }
  return true;
}

/// How often each of n is drawn in n draws; once each where there is nothing to choose from.
std::vector<double> drawn(std::size_t n, Random& random) {
  std::vector<double> times(n, n == 1 ? 1.0 : 0.0);
  if (n > 1)
    for (std::size_t i = 0; i < n; ++i) ++times[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(n)))];
  return times;
}

/// `times_of(n)`: weights that add up to n.
template <class Times>
double figure_of(const Runs& runs, const Times& times_of) {
  const std::vector<double> run_times = times_of(runs.size());
  double figure = 0;
  for (std::size_t i = 0; i < runs[0].size(); ++i) {
    const std::size_t questions = runs[0][i].values.size();
    const std::vector<double> times = times_of(questions);
    double sum = 0;
    for (std::size_t r = 0; r < runs.size(); ++r) {
      if (run_times[r] == 0) continue;
      double of_run = 0;
      for (std::size_t q = 0; q < questions; ++q) of_run += times[q] * runs[r][i].values[q];
      sum += run_times[r] * runs[r][i].weight * of_run;
    }
    figure += sum / static_cast<double>(runs.size() * questions);
  }
  return figure;
}

Interval percentiles(double estimate, std::vector<double> figures, double level) {
  std::sort(figures.begin(), figures.end());
  const double tail = (1 - level) / 2;
  return {estimate, quantile(figures, tail), quantile(figures, 1 - tail)};
}

double rho(const std::vector<const PairedSeries*>& runs) {
  std::vector<double> x, y;
  for (const PairedSeries* run : runs) {
    x.insert(x.end(), run->x.begin(), run->x.end());
    y.insert(y.end(), run->y.begin(), run->y.end());
  }
  return spearman(x, y).estimate;
}

}  // namespace

Interval crossed_bootstrap(const Runs& runs, const BootstrapOptions& options) {
  require(options);
  if (!alike(runs)) return without_interval(kNothing);
  const double estimate = figure_of(runs, [](std::size_t n) { return std::vector<double>(n, 1.0); });
  const bool one_value_each = std::all_of(runs[0].begin(), runs[0].end(), [](const Stratum& stratum) { return stratum.values.size() == 1; });
  if (runs.size() == 1 && one_value_each) return without_interval(estimate);
  Random random(options.seed, "statistics/crossed_bootstrap");
  std::vector<double> figures(static_cast<std::size_t>(options.resamples));
  for (double& figure : figures) figure = figure_of(runs, [&](std::size_t n) { return drawn(n, random); });
  return percentiles(estimate, std::move(figures), options.level);
}

Interval clustered_spearman(const std::vector<PairedSeries>& runs, const BootstrapOptions& options) {
  require(options);
  std::vector<const PairedSeries*> all;
  for (const PairedSeries& run : runs) all.push_back(&run);
  const double estimate = rho(all);
  if (runs.size() < kFewestClusters || std::isnan(estimate)) return without_interval(estimate);
  Random random(options.seed, "statistics/clustered_spearman");
  std::vector<double> figures;
  for (std::int64_t i = 0; i < options.resamples; ++i) {
    std::vector<const PairedSeries*> redrawn;
    for (std::size_t k = 0; k < all.size(); ++k) redrawn.push_back(all[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(all.size())))]);
    if (const double figure = rho(redrawn); !std::isnan(figure)) figures.push_back(figure);
  }
  if (std::cmp_less(figures.size(), options.resamples / 2)) return without_interval(estimate);
  return percentiles(estimate, std::move(figures), options.level);
}

}  // namespace retain::framework
