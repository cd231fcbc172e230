// SPDX-License-Identifier: Apache-2.0
// How long every recipe will train and how, for dry runs: steps, warm-up, rates, batch; and which branches there will be.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "framework/base/json.h"
#include "recipes/settings/experiment.h"

namespace retain::recipes {

/// Usable records by task; nullopt: unknown.
using RecordCounts = std::map<std::string, std::optional<std::int64_t>>;

/// One entry a task in the given order: `task, records, steps, warmup_steps` (null where records are unknown), `global_batch,
/// epochs, schedule, weight_decay, clip, learning_rates` (by group). Throws Error(data_empty) for a task without a whole global batch.
framework::json::array stage_schedules(const Experiment& experiment, const Recipe& recipe, const RecordCounts& counts);

/// `branches` (name, recipe, order, seed), `stages`, and `distinct`: those that are taught, each once.
framework::json::object study_json(const Experiment& experiment);

}  // namespace retain::recipes
