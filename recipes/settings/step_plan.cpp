// SPDX-License-Identifier: Apache-2.0
#include "recipes/settings/step_plan.h"

#include <algorithm>
#include <cmath>

#include "framework/base/error.h"

namespace retain::recipes {

using framework::Error;
using framework::ErrorKind;

std::vector<std::int64_t> StepPlan::before(std::int64_t end) const {
  std::vector<std::int64_t> steps = listed;
  for (std::int64_t k = 0; per_decade > 0; ++k) {
    const auto step = static_cast<std::int64_t>(std::llround(std::pow(10.0, static_cast<double>(k) / static_cast<double>(per_decade))));
    if (step >= end) break;
    steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  steps.erase(std::lower_bound(steps.begin(), steps.end(), end), steps.end());
  return steps;
}

bool StepPlan::holds(std::int64_t step) const {
  const std::vector<std::int64_t> steps = before(step + 1);
  return !steps.empty() && steps.back() == step;
}

StepPlan read_steps(const framework::ConfigTable& table) {
  StepPlan plan;
  if (table.has_text("steps")) {
    table.choice("steps", {"log"}, "log");
    plan.per_decade = table.integer("per_decade", 1, 1, 100);
    return plan;
  }
  plan.listed = table.integers("steps");
  for (const std::int64_t step : plan.listed)
    if (step < 1)
      throw Error(ErrorKind::config_invalid, {table.where("steps"), "\"log\", or numbers of steps from 1", std::to_string(step), ""});
  if (table.has("per_decade"))
    throw Error(ErrorKind::config_invalid, {table.where("per_decade"), "steps = \"log\" beside it",
                                            "a list, or no steps", "write steps = \"log\""});
  std::sort(plan.listed.begin(), plan.listed.end());
  return plan;
}

}  // namespace retain::recipes
