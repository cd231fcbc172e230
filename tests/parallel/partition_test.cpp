// SPDX-License-Identifier: Apache-2.0
// Balanced pipeline stages against every possible partition.
#include "parallel/pipeline/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

using framework::Error;

std::vector<double> costs_of(const PipelinePartition& partition, const std::vector<double>& layers, double first,
                             double last) {
  std::vector<double> costs;
  for (const Range& range : partition.layers) {
    double sum = 0;
    for (std::int64_t i = range.begin; i < range.end; ++i) sum += layers[static_cast<std::size_t>(i)];
    costs.push_back(sum);
  }
  costs.front() += first;
  costs.back() += last;
  return costs;
}

double largest(const std::vector<double>& costs) {
  return *std::max_element(costs.begin(), costs.end());
}

/// The best largest cost over all partitions whose middle stages hold a layer.
double exhaustive(int stages, const std::vector<double>& layers, double first, double last) {
  double best = std::numeric_limits<double>::infinity();
  const auto count = static_cast<std::int64_t>(layers.size());
  std::vector<std::int64_t> ends;
  const std::function<void()> place = [&] {
    if (static_cast<int>(ends.size()) == stages - 1) {
      PipelinePartition partition;
      std::int64_t begin = 0;
      for (const std::int64_t end : ends) {
        partition.layers.push_back({begin, end});
        begin = end;
      }
      partition.layers.push_back({begin, count});
      for (int p = 1; p + 1 < stages; ++p)
        if (partition.layers[static_cast<std::size_t>(p)].size() == 0) return;
      best = std::min(best, largest(costs_of(partition, layers, first, last)));
      return;
    }
    for (std::int64_t end = ends.empty() ? 0 : ends.back(); end <= count; ++end) {
      ends.push_back(end);
      place();
      ends.pop_back();
    }
  };
  place();
  return best;
}

TEST(Partition, IsOptimalForRandomCosts) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> cost(0.1, 5.0);
  for (int trial = 0; trial < 300; ++trial) {
    const int stages = 1 + trial % 5;
    std::vector<double> layers(static_cast<std::size_t>(std::max(stages - 2, 0) + trial % 7));
    for (double& layer : layers) layer = cost(random);
    const double first = cost(random) * (trial % 3), last = cost(random) * (trial % 2);
    const PipelinePartition partition = balance(stages, layers, first, last);
    ASSERT_EQ(partition.stages(), stages);
    std::int64_t next = 0;
    for (int p = 0; p < stages; ++p) {
      const Range range = partition.layers[static_cast<std::size_t>(p)];
      EXPECT_EQ(range.begin, next);
      EXPECT_GE(range.size(), p > 0 && p + 1 < stages ? 1 : 0);
      for (std::int64_t layer = range.begin; layer < range.end; ++layer) EXPECT_EQ(partition.stage_of_layer(layer), p);
      next = range.end;
    }
    EXPECT_EQ(next, static_cast<std::int64_t>(layers.size()));
    EXPECT_DOUBLE_EQ(largest(costs_of(partition, layers, first, last)), exhaustive(stages, layers, first, last));
  }
}

TEST(Partition, TiesGiveTheEarliestStagesTheMostLayers) {
  const PipelinePartition even = balance(3, std::vector<double>(5, 1.0), 0, 0);
  EXPECT_EQ(even.layers, (std::vector<Range>{{0, 2}, {2, 4}, {4, 5}}));
}

TEST(Partition, AHeavyEndHoldsNoLayers) {
  const PipelinePartition vision = balance(2, {1, 1}, 100, 0);
  EXPECT_EQ(vision.layers, (std::vector<Range>{{0, 0}, {0, 2}}));
  const PipelinePartition head = balance(2, {1, 1}, 0, 100);
  EXPECT_EQ(head.layers, (std::vector<Range>{{0, 2}, {2, 2}}));
}

TEST(Partition, RefusesTooManyStages) {
  EXPECT_NO_THROW(balance(4, {1, 1}, 1, 1));
  EXPECT_THROW(balance(5, {1, 1}, 1, 1), Error);
  EXPECT_THROW(balance(0, {1, 1}, 1, 1), Error);
  EXPECT_THROW(balance(2, {1, 1}, 1, 1).stage_of_layer(2), Error);
}

}  // namespace
}  // namespace retain::parallel
