// SPDX-License-Identifier: Apache-2.0
// Mean and deviation, as over the seeds of one recipe.
#pragma once
#include <cstdint>
#include <span>

namespace retain::framework {

struct Moments {
  std::int64_t count = 0;
  double mean = 0;       ///< NaN of nothing
  double deviation = 0;  ///< sample standard deviation (divisor count − 1); NaN below two values
};

/// NaN values are left out.
Moments moments(std::span<const double> values);

}  // namespace retain::framework
