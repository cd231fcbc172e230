// SPDX-License-Identifier: Apache-2.0
// [[probe]] entries as an experiment file writes them: steps, defaults, refusals.
#include "recipes/settings/probe_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/refusal.h"

namespace retain::recipes {
namespace {

std::vector<Probe> read(const std::string& text, bool faithful = false) {
  const framework::ConfigFile file = framework::ConfigFile::parse(text, "test.toml");
  const framework::ConfigTable root = file.root();
  std::vector<Probe> probes = read_probes(root, "/folder", faithful, {"count", "clock"});
  root.reject_unknown();
  return probes;
}

std::string refusal(const std::string& text) {
  return tests::refusal(framework::ErrorKind::config_invalid, [&] { read(text); });
}

TEST(ProbeSettings, LogarithmicStepsEndBeforeTheLast) {
  const StepPlan plan{{}, 1};
  EXPECT_EQ(plan.before(1000), (std::vector<std::int64_t>{1, 10, 100}));
  EXPECT_EQ(plan.before(1001), (std::vector<std::int64_t>{1, 10, 100, 1000}));
  EXPECT_EQ((StepPlan{{}, 3}.before(50)), (std::vector<std::int64_t>{1, 2, 5, 10, 22, 46}));
  EXPECT_EQ((StepPlan{{5, 7, 90}, 0}.before(90)), (std::vector<std::int64_t>{5, 7}));
  EXPECT_TRUE(plan.holds(100));
  EXPECT_FALSE(plan.holds(99));
  EXPECT_FALSE(plan.holds(0));
  EXPECT_TRUE(StepPlan{}.before(1000).empty());
}

TEST(ProbeSettings, DefaultsAndKinds) {
  const auto probes = read("[[probe]]\ndata = \"a.jsonl\"\n[[probe]]\nkind = \"token_bias\"\nname = \"hours\"\ntask = \"clock\"\ndata = \"/b.jsonl\"\n"
                           "steps = \"log\"\n[[probe]]\nkind = \"layer_delta\"\ndata = \"a.jsonl\"\nsteps = [10, 1]\n");
  ASSERT_EQ(probes.size(), 3U);
  EXPECT_EQ(probes[0].name, "number_bias");
  EXPECT_TRUE(probes[0].numbers);
  EXPECT_FALSE(probes[0].generated);
  EXPECT_EQ(probes[0].data.filename(), "a.jsonl");
  EXPECT_TRUE(probes[0].steps.empty());
  EXPECT_EQ(probes[1].task, "clock");
  EXPECT_EQ(probes[1].steps.per_decade, 1);
  EXPECT_EQ(probes[2].kind, ProbeKind::layer_delta);
  EXPECT_EQ(probes[2].steps.listed, (std::vector<std::int64_t>{1, 10}));
  EXPECT_TRUE(read("[[probe]]\ndata = \"a\"\n", true)[0].generated) << "as released";
  EXPECT_EQ(read("[[probe]]\ndata = \"a\"\n", true)[0].max_new_tokens, 256);
}

TEST(ProbeSettings, StepsAreNoInputOfAReading) {
  EXPECT_EQ(describe(read("[[probe]]\ndata = \"a\"\nsteps = \"log\"\n")[0]), describe(read("[[probe]]\ndata = \"a\"\n")[0]));
}

TEST(ProbeSettings, WrongInputsAreRefusedWithTheirPlace) {
  const std::string probe = "[[probe]]\ndata = \"a\"\n";
  EXPECT_THAT(refusal(probe + "kind = \"token_bais\"\n"), testing::HasSubstr("token_bias"));
  EXPECT_THAT(refusal("[[probe]]\nkind = \"samples\"\n"), testing::HasSubstr("data"));
  EXPECT_THAT(refusal(probe + "kind = \"token_bias\"\n"), testing::HasSubstr("tokens, pattern and task"));
  EXPECT_THAT(refusal(probe + "kind = \"token_bias\"\ntokens = [\"a\"]\npattern = \"b\"\n"), testing::HasSubstr("several"));
  EXPECT_THAT(refusal(probe + "kind = \"token_bias\"\npattern = \"(\"\n"), testing::HasSubstr("PCRE2"));
  EXPECT_THAT(refusal(probe + "kind = \"token_bias\"\ntask = \"clok\"\n"), testing::HasSubstr("did you mean \"clock\""));
  EXPECT_THAT(refusal(probe + "tokens = [\"a\"]\n"), testing::HasSubstr("tokens")) << "number_bias has its own";
  EXPECT_THAT(refusal(probe + "kind = \"layer_delta\"\ntext = \"generated\"\n"), testing::HasSubstr("text"));
  EXPECT_THAT(refusal(probe + "text = \"generate\"\n"), testing::HasSubstr("generated"));
  EXPECT_THAT(refusal(probe + "steps = \"logarithmic\"\n"), testing::HasSubstr("log"));
  EXPECT_THAT(refusal(probe + "steps = [0, 10]\n"), testing::HasSubstr("steps"));
  EXPECT_THAT(refusal(probe + "steps = [1]\nper_decade = 2\n"), testing::HasSubstr("per_decade"));
  EXPECT_THAT(refusal(probe + probe), testing::HasSubstr("twice"));
}

}  // namespace
}  // namespace retain::recipes
