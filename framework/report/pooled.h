// SPDX-License-Identifier: Apache-2.0
// A recipe over all orders and seeds it was taught in, with intervals that speak of other questions and other runs.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "framework/report/analysis.h"
#include "framework/statistics/crossed_interval.h"

namespace retain::framework {

/// Percentage points (for probes: where they are probabilities, else as they are) unless said otherwise. Intervals:
/// crossed_interval() over questions and runs; runs of one order are one draw where there are several orders.
struct PooledRecipe {
  std::string recipe;
  std::size_t source = 0;
  std::vector<std::size_t> runs;            ///< of Report::branches: those with as many stages as the source's longest
  std::string name;  ///< "llm", "llm (3 runs)" or "llm (9 runs of 3 orders)", with the source where there are several
  Interval learning, held_out, kept;        ///< as Measures: target learning, held-out change, target overall
  Interval rebound;                         ///< held-out mean, last stage − the lowest before it, which other questions chose
  std::map<std::string, Interval> probes;   ///< mean over the stages of probe − base
  std::vector<double> held_out_by_stage;    ///< held-out mean − base after stage 1, 2, …, mean over the runs
  std::map<std::string, std::vector<double>> probes_by_stage;  ///< probe after stage 1, 2, …, mean over the runs; NaN: not read
};
std::vector<PooledRecipe> pool_recipes(const Report& report);

/// first − second, over the orders and seeds that both have.
struct PooledPair {
  std::string name;
  std::size_t runs = 0;
  Interval learning, held_out;
  Interval balance;                         ///< learning + held-out change
  std::map<std::string, Interval> probes;
};
PooledPair pool_pair(const Report& report, const PooledRecipe& first, const PooledRecipe& second);

/// Held-out change in the stages that teach one kind of task − mean change in the other stages. `metrics`: of that task's benchmark.
Interval pool_stage_cost(const Report& report, const PooledRecipe& recipe, const std::vector<std::string>& metrics);

}  // namespace retain::framework
