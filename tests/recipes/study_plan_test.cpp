// SPDX-License-Identifier: Apache-2.0
// Orders, seeds and the branches they make; files that stand on others.
#include "recipes/settings/study_plan.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "framework/base/error.h"
#include "recipes/settings/experiment.h"
#include "recipes/training/schedule.h"
#include "tests/support/scratch.h"

namespace retain::recipes {
namespace {

using framework::ConfigFile;
using framework::Error;

StudyPlan plan_of(const std::string& text, std::size_t tasks = 3) {
  const std::vector<std::string> all{"a", "b", "c", "d", "e", "f", "g", "h"};
  const ConfigFile file = ConfigFile::parse("[study]\n" + text, "study.toml");
  const auto root = file.root();
  StudyPlan plan = read_study(root.table("study"), {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(tasks)});
  root.reject_unknown();
  return plan;
}

std::vector<std::string> names_of(const StudyPlan& plan) {
  std::vector<std::string> names;
  for (const TeachingOrder& order : plan.orders) names.push_back(order.name);
  return names;
}

TEST(StudyPlan, OrdersAreGivenAllDrawnOrListed) {
  EXPECT_EQ(names_of(plan_of("")), std::vector<std::string>{"given"});
  EXPECT_EQ(names_of(plan_of("orders = \"given\"")), std::vector<std::string>{"given"});
  EXPECT_EQ(names_of(plan_of("orders = \"all\"")), (std::vector<std::string>{"given", "1-3-2", "2-1-3", "2-3-1", "3-1-2", "3-2-1"}));
  EXPECT_EQ(names_of(plan_of("orders = [[\"c\", \"a\"], [\"a\", \"b\", \"c\"]]")), (std::vector<std::string>{"3-1", "given"}));
  EXPECT_EQ(plan_of("orders = \"all\"", 7).orders.size(), 5040U);
}

TEST(StudyPlan, DrawnOrdersDifferAndMoreBeginWithTheSame) {
  const auto few = names_of(plan_of("orders = { random = 3, seed = 7 }", 5)), more = names_of(plan_of("orders = { random = 20, seed = 7 }", 5));
  EXPECT_EQ(std::set<std::string>(more.begin(), more.end()).size(), 20U);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), more.begin()));
  EXPECT_NE(few, names_of(plan_of("orders = { random = 3, seed = 8 }", 5)));
  EXPECT_EQ(plan_of("orders = { random = 6 }").orders.size(), 6U);
}

TEST(StudyPlan, WhatCannotBeIsRefused) {
  for (const char* text : {"orders = \"some\"", "orders = { random = 7 }", "orders = { random = 0 }", "orders = { randm = 2 }", "orders = []", "orders = [[]]",
                           "orders = [[\"a\", \"a\"]]", "orders = [[\"z\"]]", "orders = [[\"a\"], [\"a\"]]", "orders = [1]", "orders = 3",
                           "seeds = [-1]", "seeds = [1, 1]", "seeds = 1.5"})
    EXPECT_THROW(plan_of(text), Error) << text;
  EXPECT_THROW(plan_of("orders = \"all\"", 8), Error);
}

TEST(StudyPlan, BranchesAreNamedByWhatVaries) {
  Experiment experiment;
  experiment.recipes = {{"x", {}}, {"y", {}}};
  experiment.recipes[1].global_batch = 4;
  experiment.tasks.resize(3);
  experiment.tasks[0].settings.seed = 9;
  experiment.study = plan_of("");
  auto branches = branches_of(experiment);
  ASSERT_EQ(branches.size(), 2U);
  EXPECT_EQ(branches[0].name, "x");
  EXPECT_EQ(branches[0].settings(experiment.tasks[0]).seed, 9U);
  EXPECT_EQ(branches[1].settings(experiment.tasks[0]).global_batch, 4);
  EXPECT_EQ(tree_of(branches).stages.size(), 6U);

  experiment.study = plan_of("orders = [[\"a\", \"b\", \"c\"], [\"a\", \"c\", \"b\"]]\nseeds = [5, 6]");
  branches = branches_of(experiment);
  ASSERT_EQ(branches.size(), 8U);
  EXPECT_EQ(branches[3].name, "y.1-3-2.s5");  // a seed's branches come together
  EXPECT_EQ(branches[5].name, "x.1-3-2.s6");
  EXPECT_EQ(branches[5].settings(experiment.tasks[0]).seed, 6U);
  EXPECT_EQ(tree_of(branches).stages.size(), 4U * 5);

  experiment.recipes[1].name = "x.given.s5";
  experiment.study = plan_of("orders = [[\"a\"], [\"b\"]]");
  EXPECT_NO_THROW(branches_of(experiment));
  experiment.recipes[1].name = "x.1";
  experiment.recipes[0].name = "x";
  experiment.study.orders = {{"1", {0}}};
  experiment.study.seeds.clear();
  EXPECT_NO_THROW(branches_of(experiment));
}

TEST(StudyPlan, StagesAreATreeOfWhatIsShared) {
  Experiment experiment;
  experiment.recipes = {{"x", {}}, {"y", {}}};
  experiment.tasks.resize(3);
  experiment.study = plan_of("orders = [[\"a\", \"b\", \"c\"], [\"a\", \"c\"], [\"a\"]]");
  const auto branches = branches_of(experiment);
  const StudyTree tree = tree_of(branches);
  const std::vector<StudyStage>& stages = tree.stages;
  ASSERT_EQ(stages.size(), 8U);  // of either recipe a, ab, abc, ac
  const std::vector<std::optional<std::size_t>> parents{std::nullopt, 0, 1, 0};
  const std::vector<std::size_t> weights{4, 2, 1, 1}, places{0, 1, 2, 1};
  for (std::size_t i = 0; i < 8; ++i) {
    const std::size_t first = i < 4 ? 0 : 4;
    EXPECT_EQ(stages[i].parent, parents[i - first] ? std::optional(first + *parents[i - first]) : std::nullopt) << i;
    EXPECT_EQ(stages[i].weight, weights[i - first]) << i;
    EXPECT_EQ(stages[i].place, places[i - first]) << i;
    EXPECT_EQ(stages[i].branch, &branches[(i < 4 ? 0 : 3) + (i - first == 3 ? 1 : 0)]) << i;
  }
  EXPECT_EQ(tree.paths, (std::vector<std::vector<std::size_t>>{{0, 1, 2}, {0, 3}, {0}, {4, 5, 6}, {4, 7}, {4}}));
}

TEST(StudyPlan, NoMoreGroupsThanBranches) {
  const tests::Scratch scratch;
  std::ofstream(scratch / "e.toml") << "[study]\nseeds = [1, 2]\n[[recipe]]\nname = \"mlp\"\n[[task]]\nname = \"a\"\ntrain = \"a.jsonl\"\n";
  const auto read = [&](int groups) { return read_experiment(scratch / "e.toml", {"study.concurrent_branches=" + std::to_string(groups)}); };
  EXPECT_EQ(read(2).study.concurrent_branches, 2);
  for (const int groups : {0, -1, 3})
    try {
      read(groups);
      ADD_FAILURE() << groups;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), framework::ErrorKind::config_invalid);
      EXPECT_NE(std::string(error.what()).find("study.concurrent_branches"), std::string::npos) << error.what();
    }
}

TEST(StudyPlan, EqualNamesOfBranchesAreRefused) {
  Experiment experiment;
  experiment.recipes = {{"x", {}}, {"x.s5", {}}, {"x", {}}};
  experiment.tasks.resize(1);
  experiment.study = plan_of("");
  EXPECT_THROW(branches_of(experiment), Error);
}

TEST(ExperimentFile, TakesFromItsBaseWhatItDoesNotSay) {
  const tests::Scratch scratch;
  std::filesystem::create_directories(scratch / "below");
  std::ofstream(scratch / "below/base.toml") << "[model]\npath = \"m\"\nmode = \"faithful\"\n[train]\nglobal_batch = 16\nepochs = 3\n"
                                                "[[recipe]]\nfile = \"list.toml\"\nonly = [\"mlp\"]\n[[task]]\nname = \"t\"\ntrain = \"t.jsonl\"\nrecords = 70\n";
  std::ofstream(scratch / "below/list.toml") << "[[recipe]]\nname = \"llm\"\n[[recipe]]\nname = \"mlp\"\nglobal_batch = 8\n";
  std::ofstream(scratch / "top.toml") << "base = \"below/base.toml\"\n[model]\nmode = \"clean\"\n[train]\nepochs = 2\n[store]\npath = \"s\"\n";
  const Experiment experiment = read_experiment(scratch / "top.toml", {"train.clip=0.5"});
  EXPECT_EQ(experiment.model, scratch / "below" / "m");
  EXPECT_EQ(experiment.store, scratch / "s");
  EXPECT_EQ(experiment.mode, Mode::clean);
  EXPECT_EQ(experiment.train.epochs, 2);
  EXPECT_EQ(experiment.train.clip, 0.5);
  ASSERT_EQ(experiment.recipes.size(), 1U);
  const TrainSettings settings = experiment.recipes[0].settings(experiment.tasks.at(0).settings);
  EXPECT_EQ(settings.global_batch, 8);
  EXPECT_EQ(optimizer_steps(settings, experiment.tasks[0].records), 2 * 8);

  std::ofstream(scratch / "below/base.toml") << "[train]\nglobal_btch = 16\n";
  try {
    read_experiment(scratch / "top.toml", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("base.toml:2"), std::string::npos) << error.what();
  }
}

TEST(Schedule, StepsOfAStage) {
  TrainSettings settings;
  settings.global_batch = 16;
  EXPECT_EQ(optimizer_steps(settings, 100), 6);
  settings.drop_last = false;
  EXPECT_EQ(optimizer_steps(settings, 100), 7);
  settings.epochs = 3;
  EXPECT_EQ(optimizer_steps(settings, 100), 21);
  settings.max_steps = 5;
  EXPECT_EQ(optimizer_steps(settings, 100), 5);
}

}  // namespace
}  // namespace retain::recipes
