// SPDX-License-Identifier: Apache-2.0
// Groups that share a study's stages. Locks belong to open files, so a thread with a lock of its own stands for a group.
#include "recipes/study/shared_work.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "parallel/comm/self_communicator.h"
#include "recipes/settings/experiment.h"
#include "tests/support/scratch.h"

namespace retain::recipes {
namespace {

using framework::StoreLock;

class SharedWorkTest : public testing::Test {
 protected:
  SharedWorkTest() : store(framework::Store::open_or_create(folder / "store")) {
    experiment.recipes = {{"x", {}}, {"y", {}}};
    experiment.tasks.resize(3);
    experiment.study.seeds = {1, 2};
    for (const std::vector<std::size_t>& tasks : {std::vector<std::size_t>{0, 1, 2}, {0, 2, 1}, {2, 1, 0}})
      experiment.study.orders.push_back({std::to_string(experiment.study.orders.size()), tasks});
    branches = branches_of(experiment);
    stages = tree_of(branches).stages;
  }

  /// One group in a thread of its own.
  struct Group {
    std::unique_ptr<parallel::Communicator> ranks = parallel::make_self_communicator("group", 0);
    std::unique_ptr<std::atomic<bool>> stop = std::make_unique<std::atomic<bool>>(false);
    std::unique_ptr<StoreLock> lock;
    std::unique_ptr<SharedWork> work;
  };

  std::vector<Group> groups_of(int count) {
    std::vector<Group> groups(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      Group& group = groups[static_cast<std::size_t>(i)];
      group.lock = i == 0 ? std::make_unique<StoreLock>(store, "test") : std::make_unique<StoreLock>(StoreLock::join(store, i));
      if (i == 0) group.lock->admit();
      group.work = std::make_unique<SharedWork>(stages, group.lock.get(), *group.ranks, i, count, *group.stop);
    }
    return groups;
  }

  static void side_by_side(std::vector<Group>& groups, const std::function<void(SharedWork&, std::size_t group)>& action) {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < groups.size(); ++i) threads.emplace_back([&, i] { action(*groups[i].work, i); });
  }

  tests::Scratch folder;
  framework::Store store;
  Experiment experiment;
  std::vector<PlannedBranch> branches;
  std::vector<StudyStage> stages;
};

TEST_F(SharedWorkTest, EveryStageOnceAfterItsParent) {
  auto groups = groups_of(3);
  std::mutex mutex;
  std::vector<std::size_t> order;
  std::vector<std::size_t> by(stages.size());
  side_by_side(groups, [&](SharedWork& work, std::size_t group) {
    while (const auto stage = work.next()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1 + 3 * group));
      const std::lock_guard guard(mutex);
      order.push_back(*stage);
      by[*stage] = group;
      work.taught(*stage);
      work.measured(*stage);
    }
    work.wait_for_all();
  });
  ASSERT_EQ(order.size(), stages.size());
  const auto turn = [&](std::size_t stage) { return std::find(order.begin(), order.end(), stage) - order.begin(); };
  for (std::size_t i = 0; i < stages.size(); ++i) {
    EXPECT_EQ(std::count(order.begin(), order.end(), i), 1) << i;
    if (stages[i].parent) { EXPECT_LT(turn(*stages[i].parent), turn(i)) << i; }
  }
  for (std::size_t group = 0; group < 3; ++group) EXPECT_GT(std::count(by.begin(), by.end(), group), 0) << "a group without work";
  EXPECT_EQ(groups[1].work->all_measured(), std::vector<bool>(stages.size(), true));
}

TEST_F(SharedWorkTest, GoesOnWithWhatFollowsElseWithTheLongest) {
  auto groups = groups_of(2);
  SharedWork& one = *groups[0].work;
  SharedWork& other = *groups[1].work;
  const auto first = one.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(stages[*first].weight, 5U) << "the prefix that two orders share";
  const auto second = other.next();
  ASSERT_TRUE(second);
  EXPECT_EQ(stages[*second].weight, 5U);
  EXPECT_NE(*first, *second);
  one.taught(*first);
  const auto third = one.next();
  ASSERT_TRUE(third);
  EXPECT_EQ(stages[*third].parent, first) << "its weights are at hand";
}

TEST_F(SharedWorkTest, OneGroupTeachesWhatTwoRecipesComeTo) {
  auto groups = groups_of(2);
  SharedWork& one = *groups[0].work;
  SharedWork& other = *groups[1].work;
  ASSERT_TRUE(one.next());
  EXPECT_TRUE(one.may_do("teach-1"));
  const auto same = other.next();
  ASSERT_TRUE(same);
  EXPECT_FALSE(other.may_do("teach-1"));
  other.defer(*same, "teach-1");
  const auto instead = other.next();
  ASSERT_TRUE(instead);
  EXPECT_NE(*instead, *same) << "other work first";
  one.done("teach-1");
  other.taught(*instead);
  std::vector<std::size_t> then;
  while (const auto stage = other.next()) {
    then.push_back(*stage);
    other.taught(*stage);
    if (*stage == *same) break;
  }
  EXPECT_TRUE(std::find(then.begin(), then.end(), *same) != then.end());
}

TEST_F(SharedWorkTest, AStopReachesAllGroupsAlsoThoseThatWait) {
  auto groups = groups_of(2);
  std::atomic<int> ended = 0;
  side_by_side(groups, [&](SharedWork& work, std::size_t group) {
    if (group == 1) {
      while (!work.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      EXPECT_FALSE(work.next());
    } else {
      EXPECT_TRUE(work.next());
      *groups[0].stop = true;
      EXPECT_FALSE(work.next());
    }
    ++ended;
    work.wait_for_all();
    EXPECT_EQ(ended, 2);
  });
}

}  // namespace
}  // namespace retain::recipes
