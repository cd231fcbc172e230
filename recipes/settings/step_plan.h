// SPDX-License-Identifier: Apache-2.0
// At which optimizer steps of a stage something is looked at.
#pragma once
#include <cstdint>
#include <vector>

#include "framework/config/toml.h"

namespace retain::recipes {

struct StepPlan {
  std::vector<std::int64_t> listed;  ///< ascending, from 1
  std::int64_t per_decade = 0;       ///< so many steps a decade, from 1 on: round(10^(k / per_decade)); 0: only those listed

  bool empty() const { return listed.empty() && per_decade == 0; }
  /// Those before step `end`, ascending, each once.
  std::vector<std::int64_t> before(std::int64_t end) const;
  bool holds(std::int64_t step) const;
};

/// Keys `steps` ("log" or a list of numbers from 1) and, for "log", `per_decade` (1). Throws Error(config_invalid).
StepPlan read_steps(const framework::ConfigTable& table);

}  // namespace retain::recipes
