// SPDX-License-Identifier: Apache-2.0
// Philox against its published vectors, and the promises of Random: same values everywhere, resumable, unbiased.
#include "framework/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

TEST(Philox, PublishedVectors) {
  using Counter = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, StreamsDifferAndRepeat) {
  Random first(7, "data");
  Random again(7, "data");
  Random other(7, "init");
  Random seeded(8, "data");
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t value = first.next();
    EXPECT_EQ(value, again.next());
    seen.insert({value, other.next(), seeded.next()});
  }
  EXPECT_EQ(seen.size(), 3000u);
}

TEST(Random, StateContinuesAtEveryPosition) {
  for (int drawn = 0; drawn < 5; ++drawn) {
    Random source(0xffffffffffffffff, "x");
    for (int i = 0; i < drawn; ++i) source.next();
    Random target(1, "y");
    target.restore(source.state());
    for (int i = 0; i < 5; ++i) EXPECT_EQ(source.next(), target.next());
    Random sought(0xffffffffffffffff, "x");
    sought.seek(source.position());
    EXPECT_EQ(sought.next(), source.next());
  }
}

TEST(Random, RefusesDamagedState) {
  Random random(1, "x");
  const std::string good = random.state();
  for (const std::string& bad : {std::string(), good + " ", good.substr(1), good.substr(0, good.size() - 1),
                                 std::string("mt19937 1 2 3"), good + "\n0"})
    EXPECT_THROW(random.restore(bad), Error) << bad;
  EXPECT_EQ(random.state(), good);
}

TEST(Random, NormalHasTheRightMomentsAndTails) {
  Random random(3, "normal");
  const int n = 200000;
  double sum = 0, squares = 0, fourth = 0;
  int beyond = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    beyond += std::abs(x) > 1.959963984540054;
  }
  EXPECT_NEAR(sum / n, 0.0, 0.01);
  EXPECT_NEAR(squares / n, 1.0, 0.015);
  EXPECT_NEAR(fourth / n, 3.0, 0.1);
  EXPECT_NEAR(double(beyond) / n, 0.05, 0.002);
}

TEST(Random, PinnedValues) {
  // Any change here changes every run's data order and initial weights.
  Random random(1234, "pinned");
  EXPECT_EQ(random.next(), 6222153841552605218u);
  EXPECT_EQ(random.uniform(), 0x1.a4212515deb6p-5);
  EXPECT_EQ(random.normal(), 0x1.71c1f89e0b196p-4);
  EXPECT_EQ(random.below(1000), 468);
}

TEST(Random, FillsWithNormals) {
  std::vector<float> values(200'001);
  Random random(3, "fill");
  random.fill_normal(values);
  double sum = 0, squares = 0, fourth = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
  }
  const auto n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0.0, 0.01);
  EXPECT_NEAR(squares / n, 1.0, 0.015);
  EXPECT_NEAR(fourth / n, 3.0, 0.1);
  std::vector<float> first(1000);
  Random(3, "fill").fill_normal(first);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), values.begin()));
}

TEST(Random, BelowIsUniformAndBounded) {
  Random random(5, "below");
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts.at(static_cast<std::size_t>(random.below(7)));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 400);
  EXPECT_EQ(random.below(1), 0);
  EXPECT_GE(random.below(INT64_MAX), 0);
  EXPECT_THROW(random.below(0), Error);
  EXPECT_THROW(random.below(-1), Error);
}

TEST(Random, PermutationIsOne) {
  for (const std::int64_t n : {0, 1, 2, 17, 1000}) {
    auto order = Random(9, "order").permutation(n);
    std::sort(order.begin(), order.end());
    ASSERT_EQ(static_cast<std::int64_t>(order.size()), n);
    for (std::int64_t i = 0; i < n; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  EXPECT_NE(Random(9, "order").permutation(100), Random(10, "order").permutation(100));
  EXPECT_THROW(Random(9, "order").permutation(-1), Error);
}

}  // namespace
}  // namespace retain::framework
