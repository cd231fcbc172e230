// SPDX-License-Identifier: Apache-2.0
#include "framework/statistics/crossed_interval.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "framework/base/error.h"
#include "framework/statistics/moments.h"

namespace retain::framework {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

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

}  // namespace retain::framework
