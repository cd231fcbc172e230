// SPDX-License-Identifier: Apache-2.0
#include "framework/statistics/moments.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

namespace retain::framework {

Moments moments(std::span<const double> values) {
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  Moments result{0, 0, kNothing};
  for (const double value : values)
    if (!std::isnan(value)) {
      ++result.count;
      result.mean += value;
    }
  result.mean = result.count > 0 ? result.mean / static_cast<double>(result.count) : kNothing;
  if (result.count < 2) return result;
  double squares = 0;
  for (const double value : values)
    if (!std::isnan(value)) squares += (value - result.mean) * (value - result.mean);
  result.deviation = std::sqrt(squares / static_cast<double>(result.count - 1));
  return result;
}

double student_quantile(std::size_t n, double level) {
  return boost::math::quantile(boost::math::students_t(static_cast<double>(n) - 1), (1 + level) / 2);
}

}  // namespace retain::framework
