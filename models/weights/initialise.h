// SPDX-License-Identifier: Apache-2.0
// A model directory with random weights for any configuration: for tests, benchmarks and pretraining from nothing.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "framework/base/dtype.h"
#include "models/lmm/config.h"
#include "models/weights/model_writer.h"
#include "parallel/parameter.h"

namespace retain::models {

/// How spread the initial weights are. Biases are 0 and norms 1 under both rules.
enum class InitialScale : std::uint8_t {
  constant,  ///< every weight: normal of `deviation` (transformers' initializer_range)
  fan_in,    ///< linears: normal of gain / sqrt(inputs), those that end a residual branch (o_proj, out_proj, down_proj,
             ///< fc2) divided by sqrt(2 · layers); embeddings and image_newline: `embedding_deviation`, position
             ///< embeddings: `position_deviation`
};

struct InitialWeights {
  std::uint64_t seed = 0;
  InitialScale scale = InitialScale::constant;
  double deviation = 0.02;
  double gain = 0.8;
  double embedding_deviation = 0.05;
  double position_deviation = 0.05;  ///< of the vision tower's position embeddings under fan_in
  std::int64_t shard_bytes = 5'000'000'000;
};

/// Standard deviation of a parameter's values; 0 for constants (see initial_constant).
double initial_deviation(const parallel::ParameterSpec& row, const LmmConfig& config, const InitialWeights& settings);
/// 1 for the weights of norms, 0 for everything else.
float initial_constant(const parallel::ParameterSpec& row);

/// Values [first, first + values.size()) of a parameter: a function of the seed, the canonical name and the flat index
/// alone, whatever the threads or pieces. `first` is a multiple of 65536.
void initial_values(const parallel::ParameterSpec& row, const LmmConfig& config, const InitialWeights& settings,
                    std::int64_t first, std::span<float> values);

/// Writes `directory` with `files` (config.json among them, whose dtype becomes `dtype`) and random weights, in the
/// naming that goes with config.json, a piece at a time. Throws what ModelWriter throws.
void write_initial_model(const LmmConfig& config, framework::DType dtype, SmallFiles files,
                         const std::filesystem::path& directory, const InitialWeights& settings);

}  // namespace retain::models
