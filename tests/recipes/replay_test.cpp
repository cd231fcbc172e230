// SPDX-License-Identifier: Apache-2.0
// Which records of earlier tasks are replayed.
#include <gtest/gtest.h>

#include <set>

#include "framework/base/error.h"
#include "recipes/methods/replay.h"

namespace retain::recipes {
namespace {

class Numbered final : public SampleSource {
 public:
  Numbered(std::int64_t size, std::string name) : size_(size), name_(std::move(name)) {}
  std::int64_t size() const override { return size_; }
  models::Sample sample(std::int64_t record, bool /*with_pixels*/) const override {
    models::Sample sample;
    sample.id = where(record);
    return sample;
  }
  std::string where(std::int64_t record) const override { return name_ + " " + std::to_string(record); }

 private:
  std::int64_t size_;
  std::string name_;
};

TEST(Replay, AShareOfEarlierTasksFollowsTheTask) {
  const Numbered task(100, "new"), first(50, "first"), second(4, "second");
  const ReplaySamples samples(task, {&first, &second}, 0.2, 3, "stage");
  ASSERT_EQ(samples.size(), 120);
  EXPECT_EQ(samples.sample(99, false).id, "new 99");
  std::set<std::string> replayed;
  std::int64_t of_second = 0;
  for (std::int64_t i = 100; i < 120; ++i) {
    replayed.insert(samples.sample(i, false).id);
    of_second += samples.where(i).starts_with("second");
    EXPECT_TRUE(samples.where(i).ends_with("(replayed)"));
  }
  EXPECT_EQ(replayed.size(), 20U) << "each record once";
  EXPECT_EQ(of_second, 4) << "a small task gives all it has, the others the rest";
}

TEST(Replay, TheChoiceIsTheSeeds) {
  const Numbered task(40, "new"), first(400, "first");
  const auto chosen = [&](std::uint64_t seed, const std::string& stream) {
    std::vector<std::int64_t> records;
    const ReplaySamples samples(task, {&first}, 0.5, seed, stream);
    for (const ReplaySamples::Place& place : samples.replayed()) records.push_back(place.record);
    return records;
  };
  EXPECT_EQ(chosen(1, "a"), chosen(1, "a"));
  EXPECT_NE(chosen(1, "a"), chosen(2, "a"));
  EXPECT_NE(chosen(1, "a"), chosen(1, "b"));
  EXPECT_EQ(chosen(1, "a").size(), 20U);
}

TEST(Replay, TheFirstTaskHasNothingToReplay) {
  const Numbered task(10, "new");
  EXPECT_EQ(ReplaySamples(task, {}, 0.5, 0, "s").size(), 10);
}

TEST(Replay, WrongSettingsAreRefused) {
  for (const char* keys : {"", "share = 1.5", "share = -0.5", "share = 0.5\nshares = 1"}) {
    EXPECT_THROW(
        {
          const framework::ConfigFile file = framework::ConfigFile::parse(keys, "test");
          const framework::ConfigTable root = file.root();
          const Replay replay({root, {{{"llm"}, 0}}});
          root.reject_unknown();
        },
        framework::Error)
        << keys;
  }
}

}  // namespace
}  // namespace retain::recipes
