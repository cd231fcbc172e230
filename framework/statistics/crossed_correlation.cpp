// SPDX-License-Identifier: Apache-2.0
#include "framework/statistics/crossed_correlation.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "framework/base/error.h"
#include "framework/statistics/moments.h"

namespace retain::framework {
namespace {

/// Of ±1, where it is infinite, that of the correlation next to it.
double fisher_z(double correlation) {
  constexpr double kMost = 1 - 1e-12;
  return std::atanh(std::clamp(correlation, -kMost, kMost));
}

struct Pairs {
  std::span<const double> x, y;
};

/// The draws that have a pair without a NaN.
std::set<std::size_t> drawn(const Pairs& pairs, const Draws& draws) {
  std::set<std::size_t> found;
  for (std::size_t i = 0; i < draws.size(); ++i)
    if (!std::isnan(pairs.x[i]) && !std::isnan(pairs.y[i])) found.insert(draws[i]);
  return found;
}

double correlation_without(std::size_t draw, Correlation correlation, const Pairs& pairs, const Draws& draws) {
  std::vector<double> x, y;
  for (std::size_t i = 0; i < draws.size(); ++i)
    if (draws[i] != draw) {
      x.push_back(pairs.x[i]);
      y.push_back(pairs.y[i]);
    }
  return correlation(x, y);
}

/// How far Fisher's z reaches, because other draws of a kind could have been made; NaN where it cannot be told.
double reach_of_draws(const std::set<std::size_t>& numbers, Correlation correlation, const Pairs& pairs, const Draws& draws, double level) {
  std::vector<double> left;
  for (const std::size_t draw : numbers) {
    left.push_back(fisher_z(correlation_without(draw, correlation, pairs, draws)));
    if (std::isnan(left.back())) return left.back();
  }
  const auto n = static_cast<double>(left.size());
  return student_quantile(left.size(), level) * (n - 1) / std::sqrt(n) * moments(left).deviation;
}

}  // namespace

Interval crossed_correlation(Correlation correlation, std::span<const double> x, std::span<const double> y,
                             const std::vector<Draws>& kinds, double level) {
  const double estimate = correlation(x, y);
  bool any = false;
  double reach = 0;
  for (const Draws& draws : kinds) {
    if (draws.size() != x.size()) throw Error(ErrorKind::internal, "draws of other pairs");
    const std::set<std::size_t> numbers = drawn({x, y}, draws);
    if (numbers.size() < 2) continue;
    any = true;
    reach = std::hypot(reach, reach_of_draws(numbers, correlation, {x, y}, draws, level));
  }
  if (!any || std::isnan(estimate) || std::abs(estimate) >= 1 || std::isnan(reach)) return without_interval(estimate);
  const double z = fisher_z(estimate);
  return {estimate, std::tanh(z - reach), std::tanh(z + reach)};
}

}  // namespace retain::framework
