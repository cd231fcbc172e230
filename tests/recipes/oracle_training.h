// SPDX-License-Identifier: Apache-2.0
// The oracle's training fixtures: its micro-batches as samples.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "models/lmm/batch.h"
#include "models/lmm/config.h"
#include "models/weights/safetensors.h"
#include "parallel/parameter.h"

namespace retain::testing {

/// RETAIN_ORACLE names another set of fixtures in the oracle's own layout (other sizes, heads, pictures).
std::filesystem::path oracle_place(const char* in_oracle, const char* in_fixtures);

/// The samples of micro-batch `index` of batches.safetensors, padding removed.
std::vector<models::Sample> oracle_samples(const models::LmmConfig& config, const models::SafetensorsDirectory& file, int index);

constexpr int kSteps = 8;
constexpr int kAccumulation = 2;
constexpr int kBatches = 5;

std::int64_t answers_of(const std::vector<models::Sample>& samples);

/// The two micro-batches of a step, (2·step) mod 5 and the next. By default each one's loss is the mean over its own answers,
/// halved; with `by_token` all answers of the step weigh the same.
std::vector<models::MicroBatch> oracle_step(const std::vector<std::vector<models::Sample>>& batches, int step, bool by_token);

/// Compares 32 values of a tensor, spread over it, with those of them that lie in this rank's slice.
void expect_samples(const parallel::Parameter& parameter, const at::Tensor& expected, int tensor_rank, double bound, const std::string& what);

}  // namespace retain::testing
