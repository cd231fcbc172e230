// SPDX-License-Identifier: Apache-2.0
// [[watch]] entries: bounds, defaults, refusals.
#include "recipes/settings/watch_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/refusal.h"

namespace retain::recipes {
namespace {

std::vector<Watch> read(const std::string& text) {
  const framework::ConfigFile file = framework::ConfigFile::parse(text, "test.toml");
  const framework::ConfigTable root = file.root();
  std::vector<Watch> watches = read_watches(root, {"bias", "layers"}, {"letter"});
  root.reject_unknown();
  return watches;
}

std::string refusal(const std::string& text) {
  return tests::refusal(framework::ErrorKind::config_invalid, [&] { read(text); });
}

TEST(WatchSettings, BoundsAreOfTheFigureOrOfItsChange) {
  const Watch above = read("[[watch]]\nprobe = \"bias\"\nabove = 0.1\n")[0];
  EXPECT_THAT(above.passed(0.2, 0), testing::HasSubstr("0.2 > 0.1"));
  EXPECT_EQ(above.passed(0.1, 0), "");
  const Watch fall = read("[[watch]]\nbenchmark = \"letter\"\nlimit = 5\nfall = 0.1\nbelow = 0.2\n")[0];
  EXPECT_EQ(fall.passed(0.5, 0.6), "") << "just as far as allowed";
  EXPECT_THAT(fall.passed(0.4, 0.6), testing::HasSubstr("fall 0.2 > 0.1"));
  EXPECT_THAT(fall.passed(0.15, 0.2), testing::HasSubstr("< 0.2"));
  const Watch rise = read("[[watch]]\nprobe = \"layers\"\nrise = 1\n")[0];
  EXPECT_EQ(rise.passed(7, 6.5), "");
  EXPECT_THAT(rise.passed(8, 6.5), testing::HasSubstr("rise 1.5 > 1"));
}

TEST(WatchSettings, DefaultsAreToStopAndToLookLogarithmically) {
  const Watch watch = read("[[watch]]\nprobe = \"bias\"\nabove = 0.1\n")[0];
  EXPECT_EQ(watch.name, "bias");
  EXPECT_EQ(watch.action, WatchAction::stop);
  EXPECT_EQ(watch.steps.per_decade, 1);
  const Watch back = read("[[watch]]\nprobe = \"bias\"\nabove = 0.1\naction = \"roll_back\"\nfactor = 0.25\nmost = 1\nsteps = [5]\n")[0];
  EXPECT_EQ(back.action, WatchAction::roll_back);
  EXPECT_EQ(back.factor, 0.25);
  EXPECT_EQ(back.most, 1);
  EXPECT_EQ(back.steps.listed, (std::vector<std::int64_t>{5}));
  EXPECT_NE(describe(watch), describe(back)) << "a rule is an input of teaching";
}

TEST(WatchSettings, WrongInputsAreRefusedWithTheirPlace) {
  EXPECT_THAT(refusal("[[watch]]\nabove = 1\n"), testing::HasSubstr("neither"));
  EXPECT_THAT(refusal("[[watch]]\nprobe = \"bias\"\nbenchmark = \"letter\"\nabove = 1\n"), testing::HasSubstr("both"));
  EXPECT_THAT(refusal("[[watch]]\nprobe = \"bais\"\nabove = 1\n"), testing::HasSubstr("did you mean \"bias\""));
  EXPECT_THAT(refusal("[[watch]]\nbenchmark = \"leter\"\nabove = 1\n"), testing::HasSubstr("did you mean \"letter\""));
  EXPECT_THAT(refusal("[[watch]]\nprobe = \"bias\"\n"), testing::HasSubstr("no bound"));
  EXPECT_THAT(refusal("[[watch]]\nprobe = \"bias\"\nrise = -0.1\n"), testing::HasSubstr("rise"));
  EXPECT_THAT(refusal("[[watch]]\nprobe = \"bias\"\nabove = 1\naction = \"rollback\"\n"), testing::HasSubstr("roll_back"));
  EXPECT_THAT(refusal("[[watch]]\nprobe = \"bias\"\nabove = 1\naction = \"lower_rate\"\nfactor = 1.5\n"), testing::HasSubstr("factor"));
  EXPECT_THAT(refusal("[[watch]]\nprobe = \"bias\"\nabove = 1\nfactor = 0.5\n"), testing::HasSubstr("factor")) << "to stop has no factor";
  EXPECT_THAT(refusal("[[watch]]\nprobe = \"bias\"\nabove = 1\nlimit = 3\n"), testing::HasSubstr("limit")) << "a probe has its own";
  EXPECT_THAT(refusal("[[watch]]\nprobe = \"bias\"\nabove = 1\nsteps = [0]\n"), testing::HasSubstr("steps"));
  EXPECT_THAT(refusal("[[watch]]\nprobe = \"bias\"\nabove = 1\n[[watch]]\nprobe = \"bias\"\nbelow = 1\n"), testing::HasSubstr("twice"));
}

}  // namespace
}  // namespace retain::recipes
