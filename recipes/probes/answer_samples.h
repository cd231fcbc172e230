// SPDX-License-Identifier: Apache-2.0
// A model's own answers to the first question of fixed records, kept to be read side by side.
#pragma once
#include <cstdint>

#include "framework/base/json.h"
#include "recipes/probes/probe_input.h"

namespace retain::recipes {

/// Collective over the model's mesh: greedy answers of at most `max_new_tokens`. `answers`: `id` (its place where the record has none),
/// `question`, `answer` of every record, in order. There is no figure.
framework::json::object answer_samples(const ProbeInput& input, std::int64_t max_new_tokens);

}  // namespace retain::recipes
