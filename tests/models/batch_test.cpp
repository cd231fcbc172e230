// SPDX-License-Identifier: Apache-2.0
// Packing of samples into a micro-batch.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "models/lmm/batch.h"

namespace retain::models {
namespace {

Sample sample(std::vector<std::int64_t> ids, std::vector<std::int64_t> labels) {
  Sample made;
  made.ids = std::move(ids);
  made.labels = std::move(labels);
  return made;
}

const std::vector<Sample>& two() {
  static const std::vector<Sample> samples = {sample({5, 6, 7, 8}, {-100, -100, 7, 8}), sample({9, 3}, {9, 3})};
  return samples;
}

TEST(Pack, LaysSamplesSideBySideWithoutPadding) {
  const MicroBatch batch = pack(two(), LossAverage::sample, 4, 12);
  EXPECT_EQ(batch.starts, (std::vector<std::int64_t>{0, 4, 6}));
  EXPECT_TRUE(at::equal(batch.ids_T, at::tensor({5, 6, 7, 8, 9, 3}, at::kLong)));
  EXPECT_TRUE(at::equal(batch.positions_T, at::tensor({0, 1, 2, 3, 0, 1}, at::kLong)));
}

TEST(Pack, MultimodalPositionsHaveThreeRows) {
  std::vector<Sample> samples = two();
  EXPECT_EQ(samples[1].next_position(), 2);
  samples[0].positions = {{0, 0, 0}, {1, 1, 1}, {1, 1, 2}, {3, 3, 3}};
  EXPECT_EQ(samples[0].next_position(), 4);
  const at::Tensor expected =
      at::tensor({0, 1, 1, 3, 0, 1, 0, 1, 1, 3, 0, 1, 0, 1, 2, 3, 0, 1}, at::kLong).reshape({3, 6});
  EXPECT_TRUE(at::equal(pack(samples, LossAverage::sample, 4, 12).positions_T, expected));
}

TEST(Pack, SupervisesTheTokenAfterEachRowAndNeverAcrossSamples) {
  const MicroBatch batch = pack(two(), LossAverage::sample, 4, 12);
  EXPECT_TRUE(at::equal(batch.answer_rows_A, at::tensor({1, 2, 4}, at::kLong)));
  EXPECT_TRUE(at::equal(batch.targets_A, at::tensor({7, 8, 3}, at::kLong)));  // the first token of a sample has no predecessor
  EXPECT_EQ(two()[0].answers(), 2);
  EXPECT_EQ(two()[1].answers(), 1);
}

TEST(Pack, WeightsAverageTheGlobalBatch) {
  EXPECT_TRUE(at::allclose(pack(two(), LossAverage::sample, 4, 12).weights_A, at::tensor({0.125F, 0.125F, 0.25F})));
  EXPECT_TRUE(at::allclose(pack(two(), LossAverage::token, 4, 12).weights_A, at::full({3}, 1.0F / 12)));
}

TEST(Pack, APromptWithoutLabelsHasNoAnswers) {
  const std::vector<Sample> prompt = {sample({1, 2}, {})};
  const MicroBatch batch = pack(prompt, LossAverage::token, 1, 1);
  EXPECT_EQ(batch.answer_rows_A.numel(), 0);
  EXPECT_EQ(batch.tokens(), 2);
}

}  // namespace
}  // namespace retain::models
