// SPDX-License-Identifier: Apache-2.0
#include "parallel/pipeline/partition.h"

#include <algorithm>
#include <limits>
#include <string>

#include "framework/base/error.h"

namespace retain::parallel {

using framework::Error;
using framework::ErrorKind;

namespace {

constexpr double kImpossible = std::numeric_limits<double>::infinity();

/// Costs of runs of layers in one pipeline stage.
class StageCosts {
 public:
  StageCosts(int stages, const std::vector<double>& layer_cost, double first_cost, double last_cost)
      : stages_(stages), first_(first_cost), last_(last_cost), sums_(layer_cost.size() + 1, 0.0) {
    for (std::size_t i = 0; i < layer_cost.size(); ++i) sums_[i + 1] = sums_[i] + layer_cost[i];
  }
  /// Of pipeline stage `stage` holding layers [begin, end); a middle stage without layers is impossible.
  double of(int stage, std::size_t begin, std::size_t end) const {
    const bool first = stage == 0;
    const bool last = stage == stages_ - 1;
    if (!first && !last && begin == end) return kImpossible;
    return sums_[end] - sums_[begin] + (first ? first_ : 0.0) + (last ? last_ : 0.0);
  }

 private:
  int stages_;
  double first_, last_;
  std::vector<double> sums_;
};

}  // namespace

int PipelinePartition::stage_of_layer(std::int64_t layer) const {
  for (std::size_t stage = 0; stage < layers.size(); ++stage)
    if (layer >= layers[stage].begin && layer < layers[stage].end) return static_cast<int>(stage);
  throw Error(ErrorKind::internal, "no pipeline stage holds layer " + std::to_string(layer));
}

PipelinePartition balance(int stages, const std::vector<double>& layer_cost, double first_cost, double last_cost) {
  const std::size_t layers = layer_cost.size();
  if (stages < 1 || static_cast<std::size_t>(std::max(0, stages - 2)) > layers)
    throw Error(ErrorKind::mesh_invalid,
                {"the decoder cannot be cut into that many pipeline stages",
                 "1 to " + std::to_string(layers + 2) + " pipeline stages for " + std::to_string(layers) + " layers",
                 std::to_string(stages), "lower [parallel] pipeline"});
  const StageCosts costs(stages, layer_cost, first_cost, last_cost);

  // rest[p][i]: the smallest largest cost of stages p… when they hold layers [i, layers).
  const auto count = static_cast<std::size_t>(stages);
  std::vector<std::vector<double>> rest(count, std::vector<double>(layers + 1, kImpossible));
  for (std::size_t i = 0; i <= layers; ++i) rest[count - 1][i] = costs.of(stages - 1, i, layers);
  for (int stage = stages - 2; stage >= 0; --stage)
    for (std::size_t i = 0; i <= layers; ++i)
      for (std::size_t end = i; end <= layers; ++end)
        rest[stage][i] = std::min(rest[stage][i], std::max(costs.of(stage, i, end), rest[stage + 1][end]));

  // From the front, each stage takes the most layers that still allow the optimum.
  const double best = rest[0][0] * (1 + 1e-12);
  PipelinePartition partition;
  std::size_t begin = 0;
  for (int stage = 0; stage < stages - 1; ++stage) {
    std::size_t end = layers;
    while (end > begin && std::max(costs.of(stage, begin, end), rest[stage + 1][end]) > best) --end;
    partition.layers.push_back({static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)});
    begin = end;
  }
  partition.layers.push_back({static_cast<std::int64_t>(begin), static_cast<std::int64_t>(layers)});
  return partition;
}

}  // namespace retain::parallel
