// SPDX-License-Identifier: Apache-2.0
// The equal-budget guard.
#include "framework/report/budget.h"

#include <gtest/gtest.h>

namespace retain::framework {
namespace {

StudyBranch branch(const std::string& name, const Budget& budget, std::size_t stages = 2) {
  StudyBranch made{name, 1, std::vector<StudyPoint>(stages)};
  made.budget = budget;
  return made;
}

Study study_of(std::vector<StudyBranch> branches, const std::string& mode = "clean") { return {"s", mode, 1, {}, {}, std::move(branches)}; }

TEST(Budget, EqualMeansAreNotMarked) {
  const Study study = study_of({branch("a", {"32", 100, 10'000}), branch("b", {"32", 100, 10'050})});
  EXPECT_TRUE(unequal_budgets({&study}).empty());
}

TEST(Budget, EveryDifferenceIsNamed) {
  const Study study = study_of({branch("a", {"16", 200, 10'000}), branch("b", {"32", 100, 10'500})});
  const std::vector<std::string> found = unequal_budgets({&study});
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0], "global batches differ: 16 (a), 32 (b)");
  EXPECT_EQ(found[1], "optimizer steps differ: 100 (b), 200 (a)");
  EXPECT_EQ(found[2], "tokens seen differ: 10000 (a), 10500 (b)");
}

TEST(Budget, ModesOfTwoStoresAreComparedAndLongListsCut) {
  std::vector<StudyBranch> many;
  for (char letter = 'a'; letter < 'i'; ++letter) many.push_back(branch(std::string(1, letter), {"32", 100, 0}));
  const Study clean = study_of(std::move(many)), faithful = study_of({branch("z", {"32", 100, 10'000})}, "faithful");
  const std::vector<std::string> found = unequal_budgets({&clean, &faithful});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0], "modes differ: clean (a, b, c, d, e, f and 2 more), faithful (z)");
}

TEST(Budget, UnfinishedBranchesAreLeftOut) {
  const Study study = study_of({branch("a", {"32", 100, 1000}), branch("b", {"32", 50, 500}, 1)});
  EXPECT_TRUE(unequal_budgets({&study}).empty());
}

TEST(Budget, StagesAddUp) {
  Budget budget = with_stage({}, {"16", 10, 100});
  budget = with_stage(budget, {"16", 5, 50});
  EXPECT_EQ(budget.global_batch, "16");
  EXPECT_EQ(budget.steps, 15);
  EXPECT_EQ(budget.tokens, 150);
  budget = with_stage(budget, {"32", 0, 0});
  EXPECT_EQ(budget.global_batch, "16/32");
  EXPECT_EQ(with_stage(budget, {"32", 5, 50}).tokens, 0) << "one stage of unknown tokens leaves the sum unknown";
  EXPECT_EQ(with_stage(budget, {"32", 5, 50}).global_batch, "16/32");
}

TEST(Budget, IsKeptInTheRecord) {
  Study study = study_of({branch("a", {"16", 200, 10'000}), branch("b", {"32", 100, 10'000})});
  study.branches[0].name = "a.s1";
  study.branches[0].seed = 1;
  const json::value record = to_json(study);
  EXPECT_FALSE(record.at("equal_budget").as_bool());
  const Study read = study_from_json(record, "x");
  EXPECT_EQ(read.branches[0].label(), "a.s1");
  EXPECT_EQ(read.branches[0].seed, 1);
  EXPECT_EQ(read.branches[0].budget.tokens, 10'000);
  EXPECT_FALSE(read.branches[1].seed);
}

}  // namespace
}  // namespace retain::framework
