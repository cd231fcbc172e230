// SPDX-License-Identifier: Apache-2.0
// The learning rate of an optimizer step, as transformers' get_{cosine,linear,constant}_schedule_with_warmup give it.
#pragma once
#include <cstdint>

#include "recipes/settings/train_settings.h"

namespace retain::recipes {

/// Optimizer steps of a stage over `records` usable records: whole global batches an epoch (a smaller last one too, unless
/// drop_last), at most max_steps.
std::int64_t optimizer_steps(const TrainSettings& settings, std::int64_t records);

/// ceil(ratio · steps).
std::int64_t warmup_steps(double ratio, std::int64_t steps);

/// What the base rate is multiplied by in step `step` (from 0) of `steps`, the first `warmup` of them warm-up:
/// step / warmup while warming up (so the first rate is 0), then with x = (step - warmup) / (steps - warmup)
/// cosine ½(1 + cos πx), linear 1 - x, constant 1. Never negative.
double learning_rate_factor(Schedule schedule, std::int64_t step, std::int64_t warmup, std::int64_t steps);

}  // namespace retain::recipes
