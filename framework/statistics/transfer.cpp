// SPDX-License-Identifier: Apache-2.0
#include "framework/statistics/transfer.h"

#include <cmath>
#include <limits>

#include "framework/base/error.h"
#include "framework/statistics/moments.h"

namespace retain::framework {
namespace {

double mean_known(const std::vector<double>& values) { return moments(values).mean; }

double highest_before_last(const ScoreMatrix& scores, std::size_t task) {
  double highest = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t stage = 1; stage + 1 < scores.size(); ++stage) highest = std::fmax(highest, scores[stage][task]);
  return highest;
}

}  // namespace

TransferMeasures transfer(const ScoreMatrix& scores) {
  const std::size_t tasks = scores.empty() ? 0 : scores.size() - 1;
  for (const std::vector<double>& row : scores)
    if (row.size() != tasks) throw Error(ErrorKind::internal, "a score matrix that is not one row higher than wide");
  std::vector<double> learning, forgetting, overall, maximum, backward, forward;
  for (std::size_t t = 0; t < tasks; ++t) {
    const double base = scores[0][t], own = scores[t + 1][t], last = scores[tasks][t];
    learning.push_back(own - base);
    forgetting.push_back(last - own);
    overall.push_back(last - base);
    if (t + 1 < tasks) {
      maximum.push_back(highest_before_last(scores, t) - last);
      backward.push_back(last - own);
    }
    if (t > 0) forward.push_back(scores[t][t] - base);
  }
  return {mean_known(learning), mean_known(forgetting), mean_known(overall),
          mean_known(maximum),  mean_known(backward),   mean_known(forward)};
}

}  // namespace retain::framework
