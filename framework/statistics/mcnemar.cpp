// SPDX-License-Identifier: Apache-2.0
#include "framework/statistics/mcnemar.h"

#include <algorithm>
#include <cmath>

#include "framework/statistics/bootstrap.h"

namespace retain::framework {

McNemar mcnemar(std::int64_t first_only, std::int64_t second_only) {
  const auto n = static_cast<double>(first_only + second_only);
  double tail = 0;
  for (std::int64_t k = 0; k <= std::min(first_only, second_only); ++k) {
    const auto x = static_cast<double>(k);
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(x + 1) - std::lgamma(n - x + 1) - n * std::log(2.0));
  }
  return {first_only, second_only, std::min(1.0, 2 * tail)};
}

McNemar mcnemar(std::span<const double> first, std::span<const double> second) {
  std::int64_t first_only = 0, second_only = 0;
  const std::vector<double> differences = paired_differences(first, second);
  for (std::size_t i = 0; i < differences.size(); ++i) {
    if (std::isnan(differences[i])) continue;
    const bool right = first[i] >= 0.5, other = second[i] >= 0.5;
    first_only += right && !other;
    second_only += other && !right;
  }
  return mcnemar(first_only, second_only);
}

}  // namespace retain::framework
