// SPDX-License-Identifier: Apache-2.0
// Teacher-forced counting-bias probe: how probable number tokens are at every supervised position of fixed captions.
#pragma once
#include <cstdint>
#include <vector>

#include "models/lmm/lmm.h"
#include "recipes/sample_source.h"

namespace retain::recipes {

/// Collective over the model's mesh: mean over samples of the mean over a sample's supervised positions of the total
/// probability of `number_ids`. The first `limit` records (0: all), `batch` samples a forward pass.
double number_bias(models::Lmm& model, const SampleSource& captions, const std::vector<std::int64_t>& number_ids,
                   std::int64_t limit, std::int64_t batch);

}  // namespace retain::recipes
