// SPDX-License-Identifier: Apache-2.0
#include "framework/statistics/crossed_interval.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "framework/statistics/correlation.h"
#include "framework/statistics/moments.h"

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

/// Σ weight · mean over a stratum.
double figure_of(const std::vector<Stratum>& run) {
  double figure = 0;
  for (const Stratum& stratum : run) figure += stratum.weight * moments(stratum.values).mean;
  return figure;
}

/// Every question's mean over the runs, weights included.
std::vector<Stratum> mean_run(const Runs& runs) {
  std::vector<Stratum> mean;
  for (std::size_t i = 0; i < runs[0].size(); ++i) {
    Stratum stratum{std::vector<double>(runs[0][i].values.size(), 0.0), 1};
    for (const std::vector<Stratum>& run : runs)
      for (std::size_t q = 0; q < stratum.values.size(); ++q)
        stratum.values[q] += run[i].weight * run[i].values[q] / static_cast<double>(runs.size());
    mean.push_back(std::move(stratum));
  }
  return mean;
}

/// How many deviations of a mean over n draws its interval reaches to either side.
double student_quantile(std::size_t n, double level) {
  return boost::math::quantile(boost::math::students_t(static_cast<double>(n) - 1), (1 + level) / 2);
}

struct Draw {
  double runs = 0;
  double figures = 0;  ///< their sum
};

/// How far a mean over runs reaches, because others could have been made: t · √(n / (n − 1) · Σ (share · (mean of a draw − mean))²),
/// which is t · s / √n for n draws of as many runs each.
double reach_of_runs(const Runs& runs, const std::vector<std::size_t>& draws, double level) {
  std::map<std::size_t, Draw> found;
  const bool one = std::all_of(draws.begin(), draws.end(), [&](std::size_t draw) { return draw == draws.front(); });
  double mean = 0;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    Draw& draw = found[one ? r : draws[r]];
    const double figure = figure_of(runs[r]);
    draw.runs += 1;
    draw.figures += figure;
    mean += figure / static_cast<double>(runs.size());
  }
  double squares = 0;
  for (const auto& [number, draw] : found) {
    const double part = (draw.figures - draw.runs * mean) / static_cast<double>(runs.size());
    squares += part * part;
  }
  const auto n = static_cast<double>(found.size());
  return student_quantile(found.size(), level) * std::sqrt(n / (n - 1) * squares);
}

double rho(const std::vector<const PairedSeries*>& runs) {
  std::vector<double> x, y;
  for (const PairedSeries* run : runs) {
    x.insert(x.end(), run->x.begin(), run->x.end());
    y.insert(y.end(), run->y.begin(), run->y.end());
  }
  return spearman(x, y).estimate;
}

/// Fisher's z; of ±1, where it is infinite, that of the correlation next to it.
double fisher_z(double correlation) {
  constexpr double kMost = 1 - 1e-12;
  return std::atanh(std::clamp(correlation, -kMost, kMost));
}

/// Percentiles of correlations that were drawn from n runs, stretched away from the estimate.
Interval widened(double estimate, std::vector<double> figures, std::size_t n, double level) {
  const double runs = static_cast<double>(n), tail = (1 - level) / 2, z = fisher_z(estimate);
  const double stretch = std::sqrt(runs / (runs - 1)) * student_quantile(n, level) / boost::math::quantile(boost::math::normal(), 1 - tail);
  std::sort(figures.begin(), figures.end());
  const double below = std::max(0.0, z - fisher_z(quantile(figures, tail)));
  const double above = std::max(0.0, fisher_z(quantile(figures, 1 - tail)) - z);
  return {estimate, std::tanh(z - stretch * below), std::tanh(z + stretch * above)};
}

}  // namespace

Interval crossed_interval(const Runs& runs, const BootstrapOptions& options, const std::vector<std::size_t>& draws) {
  require(options);
  if (!draws.empty() && draws.size() != runs.size()) throw Error(ErrorKind::internal, "draws of other runs");
  if (!alike(runs)) return without_interval(kNothing);
  const Interval questions = bootstrap(mean_run(runs), options);
  if (runs.size() == 1) return questions;
  const double of_runs = reach_of_runs(runs, draws, options.level), estimate = questions.estimate;
  if (!questions.known()) return {estimate, estimate - of_runs, estimate + of_runs};
  return {estimate, estimate - std::hypot(of_runs, std::max(0.0, estimate - questions.low)),
          estimate + std::hypot(of_runs, std::max(0.0, questions.high - estimate))};
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
  return widened(estimate, std::move(figures), runs.size(), options.level);
}

}  // namespace retain::framework
