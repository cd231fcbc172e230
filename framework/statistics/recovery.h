// SPDX-License-Identifier: Apache-2.0
// Recovery accounting: of each drop along a curriculum, what later stages gave back and what stayed lost.
#pragma once
#include <span>
#include <vector>

namespace retain::framework {

struct Return {
  std::size_t stage;  ///< that gave it back
  double amount;      ///< above 0
};

struct Drop {
  std::size_t stage;            ///< position in the series: series[stage] < series[stage − 1]
  double size;                  ///< above 0
  double lost;                  ///< the part no later stage reached again; returns and this add up to size
  std::vector<Return> returns;  ///< in the order of stages
};

/// A level between series[stage − 1] and series[stage] counts as given back by the first later stage that reaches it; whatever
/// takes it away once more is a drop of its own. So over all drops, lost adds up to the series' maximum minus its end: the
/// maximum-based forgetting, each part with the stage that caused it. `series` begins with the base; NaN entries are left out.
std::vector<Drop> recovery(std::span<const double> series);

struct RecoverySum {
  double dropped = 0;
  double returned = 0;
  double lost = 0;
  double share() const { return returned / dropped; }  ///< NaN without drops
};
RecoverySum sum_of(const std::vector<Drop>& drops);

}  // namespace retain::framework
