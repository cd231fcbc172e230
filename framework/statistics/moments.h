// SPDX-License-Identifier: Apache-2.0
// Mean and deviation, as over the seeds of one recipe.
#pragma once
#include <cstddef>
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

/// How many standard errors of a mean over n draws its interval reaches to either side: Student's t with n − 1 degrees of freedom.
double student_quantile(std::size_t n, double level);

}  // namespace retain::framework
