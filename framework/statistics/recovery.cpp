// SPDX-License-Identifier: Apache-2.0
#include "framework/statistics/recovery.h"

#include <algorithm>
#include <cmath>

namespace retain::framework {
namespace {

/// What the entries after `places[at]` give back of the drop from `high` to `low`.
Drop follow(std::span<const double> series, std::span<const std::size_t> later, std::size_t stage, double high, double low) {
  Drop drop{stage, high - low, 0, {}};
  double reached = low;
  for (const std::size_t place : later) {
    const double level = std::min(series[place], high);
    if (level <= reached) continue;
    drop.returns.push_back({place, level - reached});
    reached = level;
  }
  drop.lost = high - reached;
  return drop;
}

}  // namespace

std::vector<Drop> recovery(std::span<const double> series) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < series.size(); ++i)
    if (!std::isnan(series[i])) places.push_back(i);
  std::vector<Drop> drops;
  for (std::size_t i = 1; i < places.size(); ++i) {
    const double before = series[places[i - 1]], after = series[places[i]];
    if (after < before) drops.push_back(follow(series, std::span(places).subspan(i + 1), places[i], before, after));
  }
  return drops;
}

RecoverySum sum_of(const std::vector<Drop>& drops) {
  RecoverySum sum;
  for (const Drop& drop : drops) {
    sum.dropped += drop.size;
    sum.lost += drop.lost;
  }
  sum.returned = sum.dropped - sum.lost;
  return sum;
}

}  // namespace retain::framework
