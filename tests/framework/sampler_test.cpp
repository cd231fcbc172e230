// SPDX-License-Identifier: Apache-2.0
// The order of records and its cutting into batches, ranks and micro-batches.
#include "framework/data/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "framework/data/micro_batch.h"

namespace retain::framework {
namespace {

std::vector<std::int64_t> numbers(std::int64_t count) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), std::int64_t{100});
  return all;
}

SamplerOptions with(std::int64_t batch, bool shuffle, bool keep = false) {
  return {.seed = 7, .stream = "data", .shuffle = shuffle, .keep_incomplete = keep, .global_batch = batch};
}

TEST(Sampler, FileOrderIsCutInOrder) {
  const Sampler sampler(numbers(10), with(4, false));
  EXPECT_EQ(sampler.steps_per_epoch(), 2);
  EXPECT_EQ(sampler.dropped_per_epoch(), 2);
  EXPECT_THAT(sampler.batch({0, 1}), testing::ElementsAre(104, 105, 106, 107));
  EXPECT_EQ(sampler.batch({0, 1}), sampler.batch({3, 1}));
}

TEST(Sampler, IncompleteBatchMayBeKept) {
  const Sampler sampler(numbers(10), with(4, false, true));
  EXPECT_EQ(sampler.steps_per_epoch(), 3);
  EXPECT_EQ(sampler.dropped_per_epoch(), 0);
  EXPECT_THAT(sampler.batch({0, 2}), testing::ElementsAre(108, 109));
}

TEST(Sampler, ShuffledEpochsDifferAndCoverEverything) {
  const Sampler sampler(numbers(40), with(4, true));
  EXPECT_NE(sampler.order(0), sampler.order(1));
  EXPECT_EQ(sampler.order(1), Sampler(numbers(40), with(8, true)).order(1))
      << "the batch size does not change the order";
  std::vector<std::int64_t> seen;
  for (std::int64_t step = 0; step < sampler.steps_per_epoch(); ++step)
    for (const auto record : sampler.batch({1, step})) seen.push_back(record);
  EXPECT_EQ(seen, sampler.order(1));
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, numbers(40));
}

TEST(Sampler, CursorsWalkAndComeBack) {
  const Sampler sampler(numbers(10), with(3, true));
  Cursor cursor;
  for (std::int64_t step = 0; step < 10; ++step) {
    EXPECT_EQ(cursor, sampler.at(step));
    EXPECT_EQ(cursor, Cursor::parse(cursor.to_string()));
    cursor = sampler.next(cursor);
  }
  EXPECT_EQ(cursor, (Cursor{3, 1}));
  for (const char* text : {"", "epoch 1", "epoch 1 step -1", "epoch 1 step 2 ", "epoch 99999999999999999999 step 0"})
    EXPECT_THROW(Cursor::parse(text), Error) << text;
}

TEST(Sampler, RefusesWhatCannotMakeAStep) {
  EXPECT_THROW(Sampler(numbers(3), with(4, true)), Error);
  EXPECT_THROW(Sampler({}, with(1, true, true)), Error);
  EXPECT_THROW(Sampler(numbers(3), with(0, true)), Error);
  EXPECT_EQ(Sampler(numbers(3), with(4, true, true)).steps_per_epoch(), 1);
  EXPECT_THROW(Sampler(numbers(4), with(2, true)).batch({0, 2}), Error);
}

TEST(LengthGroups, SortedWithinGroupsAndEvenAcrossRanks) {
  std::vector<std::int64_t> lengths;
  Random random(3, "lengths");
  for (int i = 0; i < 70; ++i) lengths.push_back(random.below(100));
  const auto order = length_grouped_order(lengths, 2, 16, 9, "groups");
  EXPECT_EQ(order, length_grouped_order(lengths, 2, 16, 9, "groups"));
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) EXPECT_EQ(sorted[i], static_cast<std::int64_t>(i));
  const auto sum = [&](std::size_t begin, std::size_t end) {
    std::int64_t total = 0;
    for (std::size_t i = begin; i < end; ++i) total += lengths[static_cast<std::size_t>(order[i])];
    return total;
  };
  for (std::size_t group = 0; group < 64; group += 32) {
    for (std::size_t i = group; i < group + 32; ++i) {
      if (i % 16 == 0) continue;
      EXPECT_GE(lengths[static_cast<std::size_t>(order[i - 1])], lengths[static_cast<std::size_t>(order[i])]);
    }
    EXPECT_LT(std::abs(sum(group, group + 16) - sum(group + 16, group + 32)), 60);
  }
}

struct Shape {
  std::int64_t samples, ranks;
  MicroBatchLimits limits;
};

class MicroBatches : public testing::TestWithParam<Shape> {};

TEST_P(MicroBatches, NoneIsLostAndLimitsHold) {
  const auto [samples, ranks, limits] = GetParam();
  Random random(1, "lengths");
  std::vector<std::int64_t> tokens;
  for (std::int64_t i = 0; i < samples; ++i) tokens.push_back(1 + random.below(900));
  const auto shares = assign_micro_batches(tokens, ranks, limits);
  ASSERT_EQ(static_cast<std::int64_t>(shares.size()), ranks);
  std::vector<std::int64_t> seen;
  std::size_t fewest = shares[0].size(), most = shares[0].size();
  for (const auto& share : shares) {
    fewest = std::min(fewest, share.size());
    most = std::max(most, share.size());
    for (const MicroBatch& batch : share) {
      std::int64_t sum = 0;
      for (const auto slot : batch.slots) {
        seen.push_back(slot);
        sum += tokens[static_cast<std::size_t>(slot)];
      }
      EXPECT_FALSE(batch.slots.empty());
      EXPECT_TRUE(std::is_sorted(batch.slots.begin(), batch.slots.end()));
      EXPECT_EQ(sum, batch.tokens);
      EXPECT_TRUE(limits.tokens == 0 || sum <= limits.tokens || batch.slots.size() == 1);
      EXPECT_TRUE(limits.samples == 0 || static_cast<std::int64_t>(batch.slots.size()) <= limits.samples);
    }
  }
  std::sort(seen.begin(), seen.end());
  ASSERT_EQ(static_cast<std::int64_t>(seen.size()), samples);
  for (std::int64_t i = 0; i < samples; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
  EXPECT_LE(most - fewest, 1u);
  if (samples >= ranks * static_cast<std::int64_t>(most)) {
    EXPECT_EQ(most, fewest);
  }
  if (samples >= ranks * limits.at_least) {
    EXPECT_GE(static_cast<std::int64_t>(fewest), limits.at_least);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, MicroBatches,
                         testing::Values(Shape{8, 2, {}}, Shape{8, 2, {0, 1, 1}}, Shape{7, 2, {0, 1, 1}},
                                         Shape{32, 4, {1000, 0, 1}}, Shape{32, 4, {500, 0, 1}}, Shape{3, 4, {0, 1, 1}},
                                         Shape{1, 2, {100, 2, 4}}, Shape{64, 2, {0, 0, 8}}, Shape{61, 3, {3000, 5, 4}},
                                         Shape{0, 2, {}}));

TEST(MicroBatches, TokensAreEvenAcrossRanks) {
  Random random(2, "lengths");
  std::vector<std::int64_t> tokens;
  for (int i = 0; i < 64; ++i) tokens.push_back(50 + random.below(1000));
  const auto shares = assign_micro_batches(tokens, 4, {4096, 0, 1});
  std::vector<std::int64_t> sums;
  for (const auto& share : shares) {
    sums.push_back(0);
    for (const auto& batch : share) sums.back() += batch.tokens;
  }
  const auto [low, high] = std::minmax_element(sums.begin(), sums.end());
  EXPECT_LT(*high - *low, *high / 20);
}

TEST(MicroBatches, RefusesNoRanks) {
  EXPECT_THROW(assign_micro_batches({}, 0, {}), Error);
}

}  // namespace
}  // namespace retain::framework
