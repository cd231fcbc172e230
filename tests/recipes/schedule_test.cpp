// SPDX-License-Identifier: Apache-2.0
// Learning rates against the values transformers' scheduler gives.
#include "recipes/training/schedule.h"

#include <gtest/gtest.h>

namespace retain::recipes {
namespace {

TEST(Schedule, WarmupStepsAreRoundedUp) {
  EXPECT_EQ(warmup_steps(0.03, 8), 1);
  EXPECT_EQ(warmup_steps(0.03, 100), 3);
  EXPECT_EQ(warmup_steps(0.03, 101), 4);
  EXPECT_EQ(warmup_steps(0.0, 101), 0);
}

TEST(Schedule, CosineAsTransformersComputesIt) {
  // get_cosine_schedule_with_warmup(num_warmup_steps=1, num_training_steps=8), base rate 1e-3
  const double expected[] = {0.0, 0.001, 0.0009504844339512095, 0.0008117449009293668, 0.0006112604669781572,
                             0.00038873953302184284, 0.00018825509907063325, 4.9515566048790485e-05};
  for (int s = 0; s < 8; ++s) EXPECT_NEAR(1e-3 * learning_rate_factor(Schedule::cosine, s, 1, 8), expected[s], 1e-16) << s;
}

TEST(Schedule, LinearAndConstantAfterWarmup) {
  EXPECT_DOUBLE_EQ(learning_rate_factor(Schedule::linear, 0, 2, 10), 0.0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(Schedule::linear, 1, 2, 10), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate_factor(Schedule::linear, 2, 2, 10), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(Schedule::linear, 6, 2, 10), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate_factor(Schedule::linear, 10, 2, 10), 0.0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(Schedule::constant, 1, 2, 10), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate_factor(Schedule::constant, 9, 2, 10), 1.0);
}

TEST(Schedule, WithoutWarmupTheFirstRateIsTheBaseRate) {
  EXPECT_DOUBLE_EQ(learning_rate_factor(Schedule::cosine, 0, 0, 1), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(Schedule::linear, 0, 0, 5), 1.0);
}

}  // namespace
}  // namespace retain::recipes
