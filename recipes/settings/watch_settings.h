// SPDX-License-Identifier: Apache-2.0
// The [[watch]] entries of an experiment: what may not happen to a probe or a small panel while a stage is taught, and what is done
// when it does.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/config/toml.h"
#include "recipes/settings/step_plan.h"

namespace retain::recipes {

enum class WatchAction : std::uint8_t {
  stop,        ///< the stage ends here, and is committed as it is
  lower_rate,  ///< all learning rates are multiplied by `factor` from here on
  roll_back    ///< weights, optimizer and data go back to the last good look (at first the stage's start); rates as in lower_rate
};

struct Watch {
  std::string name;
  std::string probe;                    ///< whose figure is watched; or
  std::string benchmark;                ///< whose score (0 to 1) on its first `limit` questions is
  std::int64_t limit = 0;               ///< 0: as many as the benchmark has
  std::optional<double> above, below;   ///< bounds of the figure
  std::optional<double> rise, fall;     ///< bounds of its change since the stage began
  WatchAction action = WatchAction::stop;
  double factor = 0.5;                  ///< of lower_rate and roll_back
  std::int64_t most = 3;                ///< times roll_back goes on; then the stage ends with the last good weights
  StepPlan steps;                       ///< when it looks

  /// The bound that a figure has passed, in words ("rise 0.2 > 0.1"); empty: none.
  std::string passed(double figure, double start) const;
};

/// Reads [[watch]]. Throws Error(config_invalid) naming file, line and key: neither or both of probe and benchmark, names of neither,
/// no bound, the same name twice.
std::vector<Watch> read_watches(const framework::ConfigTable& root, const std::vector<std::string>& probes,
                                const std::vector<std::string>& benchmarks);

/// All of it: a watched stage is taught by other rules than one that is not.
framework::json::object describe(const Watch& watch);

const char* name_of(WatchAction action);

}  // namespace retain::recipes
