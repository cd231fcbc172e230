// SPDX-License-Identifier: Apache-2.0
// Draws against the distribution they come from.
#include "models/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace retain::models {
namespace {

std::map<std::int64_t, double> shares(const std::vector<float>& logits, const Sampling& sampling, int draws) {
  std::map<std::int64_t, double> counted;
  framework::Random random(sampling.seed, "test");
  for (int i = 0; i < draws; ++i) counted[sample_token(logits, sampling, random)] += 1.0 / draws;
  return counted;
}

const std::vector<float> kLogits{0.0F, 2.0F, 1.0F, -1.0F, 2.0F};

TEST(SampleToken, FollowsTheSoftmaxAtATemperature) {
  const double temperature = 0.7;
  const auto found = shares(kLogits, {.temperature = temperature, .seed = 5}, 40000);
  double total = 0;
  for (const float logit : kLogits) total += std::exp(logit / temperature);
  for (std::size_t id = 0; id < kLogits.size(); ++id)  // five deviations of a share of 40,000 draws
    EXPECT_NEAR(found.contains(static_cast<std::int64_t>(id)) ? found.at(static_cast<std::int64_t>(id)) : 0, std::exp(kLogits[id] / temperature) / total, 0.0125);
}

TEST(SampleToken, TopKKeepsTheMostLikely) {
  for (const auto& [id, share] : shares(kLogits, {.temperature = 5, .top_k = 3}, 2000)) EXPECT_TRUE(id == 1 || id == 2 || id == 4);
}

TEST(SampleToken, TopPKeepsTheFewestThatReachIt) {
  // Probabilities of ids 1 and 4 are 0.39 each: 0.5 needs both, 0.3 the first alone.
  for (const auto& [id, share] : shares(kLogits, {.temperature = 1, .top_p = 0.5}, 2000)) EXPECT_TRUE(id == 1 || id == 4);
  EXPECT_EQ(shares(kLogits, {.temperature = 1, .top_p = 0.3}, 100).size(), 1U);
  EXPECT_EQ(shares(kLogits, {.temperature = 1, .top_p = 0.0}, 100).begin()->first, 1);
}

TEST(SampleToken, SurvivesExtremeLogits) {
  framework::Random random(1, "test");
  EXPECT_EQ(sample_token(std::vector<float>{-1e30F, 1e30F, 0}, {.temperature = 0.01}, random), 1);
}

}  // namespace
}  // namespace retain::models
