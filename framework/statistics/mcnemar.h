// SPDX-License-Identifier: Apache-2.0
// McNemar's exact test: whether two models differ in which samples they get right.
#pragma once
#include <cstdint>
#include <span>

namespace retain::framework {

struct McNemar {
  std::int64_t first_only = 0;   ///< samples that only the first gets right
  std::int64_t second_only = 0;
  double p = 1;                  ///< two-sided, exact
};

/// The two-sided binomial test of the discordant samples against one half (McNemar 1947; exact form: Fay 2010):
/// p = min(1, 2 · P[X ≤ min(b, c)]), X ~ Binomial(b + c, 1/2); 1 without discordant samples.
McNemar mcnemar(std::int64_t first_only, std::int64_t second_only);

/// Of per-sample scores of the same samples; a score of one half or more counts as right, a sample that is NaN on either side
/// is left out. Throws Error(data_invalid) when they differ in number.
McNemar mcnemar(std::span<const double> first, std::span<const double> second);

}  // namespace retain::framework
