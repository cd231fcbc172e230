// SPDX-License-Identifier: Apache-2.0
#include "framework/statistics/correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

struct Pairs {
  std::vector<double> x, y;
};

Pairs whole_pairs(std::span<const double> x, std::span<const double> y) {
  if (x.size() != y.size())
    throw Error(ErrorKind::data_invalid, {"figures cannot be paired", std::to_string(x.size()) + " of them",
                                          std::to_string(y.size()), "give both for each"});
  Pairs pairs;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!std::isnan(x[i]) && !std::isnan(y[i])) {
      pairs.x.push_back(x[i]);
      pairs.y.push_back(y[i]);
    }
  return pairs;
}

bool varies(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [&](double value) { return value != values.front(); });
}

double coefficient(const Pairs& pairs) {
  // asked of the values: the mean of equal values is rounded, so that squares about it need not add up to 0
  if (pairs.x.size() < 3 || !varies(pairs.x) || !varies(pairs.y)) return std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<double>(pairs.x.size());
  const double mean_x = std::accumulate(pairs.x.begin(), pairs.x.end(), 0.0) / n;
  const double mean_y = std::accumulate(pairs.y.begin(), pairs.y.end(), 0.0) / n;
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < pairs.x.size(); ++i) {
    xx += (pairs.x[i] - mean_x) * (pairs.x[i] - mean_x);
    yy += (pairs.y[i] - mean_y) * (pairs.y[i] - mean_y);
    xy += (pairs.x[i] - mean_x) * (pairs.y[i] - mean_y);
  }
  if (xx == 0 || yy == 0) return std::numeric_limits<double>::quiet_NaN();  // squares below the smallest double
  return std::clamp(xy / std::sqrt(xx * yy), -1.0, 1.0);
}

}  // namespace

double pearson(std::span<const double> x, std::span<const double> y) { return coefficient(whole_pairs(x, y)); }

double spearman(std::span<const double> x, std::span<const double> y) {
  const Pairs pairs = whole_pairs(x, y);
  return coefficient({ranks(pairs.x), ranks(pairs.y)});
}

std::vector<double> ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    const double rank = static_cast<double>(first + 1 + end) / 2;
    for (; first < end; ++first) result[order[first]] = rank;
  }
  return result;
}

}  // namespace retain::framework
