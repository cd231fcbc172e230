// SPDX-License-Identifier: Apache-2.0
// Warm-up and decay.
#include "recipes/training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace retain::recipes {

std::int64_t optimizer_steps(const TrainSettings& settings, std::int64_t records) {
  const std::int64_t batches = (records + (settings.drop_last ? 0 : settings.global_batch - 1)) / settings.global_batch;
  const std::int64_t steps = settings.epochs * batches;
  return settings.max_steps > 0 ? std::min(steps, settings.max_steps) : steps;
}

std::int64_t warmup_steps(double ratio, std::int64_t steps) {
  return static_cast<std::int64_t>(std::ceil(ratio * static_cast<double>(steps)));
}

double learning_rate_factor(Schedule schedule, std::int64_t step, std::int64_t warmup, std::int64_t steps) {
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(1, warmup));
  const double decay_steps = static_cast<double>(std::max<std::int64_t>(1, steps - warmup));
  const double x = static_cast<double>(step - warmup) / decay_steps;
  switch (schedule) {
    case Schedule::cosine: return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * x)));
    case Schedule::linear: return std::max(0.0, 1.0 - x);
    case Schedule::constant: return 1.0;
  }
  return 1.0;
}

}  // namespace retain::recipes
