// SPDX-License-Identifier: Apache-2.0
// The 1F1B action lists: every stage finishes, in memory bounds, whatever is frozen.
#include "parallel/pipeline/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

namespace retain::parallel {
namespace {

using Kind = PipelineActionKind;

/// Runs all pipeline stages' lists against in-order channels; returns the most micro-batches each kept for its backward pass.
/// Fails the test on a deadlock, a message out of order, or a message left over.
std::vector<int> simulate(int stages, const std::vector<std::vector<BackwardNeed>>& needs) {
  std::vector<std::vector<PipelineAction>> lists;
  for (int p = 0; p < stages; ++p) lists.push_back(one_forward_one_backward(stages, p, needs[static_cast<std::size_t>(p)]));
  std::vector<std::deque<int>> up(static_cast<std::size_t>(stages)), down(static_cast<std::size_t>(stages));  // into stage p
  std::vector<std::size_t> next(static_cast<std::size_t>(stages));
  std::vector<int> kept(next.size()), most(next.size());
  const auto take = [](std::deque<int>& channel, int m) {
    if (channel.empty()) return false;
    EXPECT_EQ(channel.front(), m);
    channel.pop_front();
    return true;
  };
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t p = 0; p < next.size(); ++p)
      while (next[p] < lists[p].size()) {
        const auto [kind, m] = lists[p][next[p]];
        if (kind == Kind::receive_activation && !take(up[p], m)) break;
        if (kind == Kind::receive_gradient && !take(down[p], m)) break;
        if (kind == Kind::send_activation) up[p + 1].push_back(m);
        if (kind == Kind::send_gradient) down[p - 1].push_back(m);
        if (kind == Kind::forward) kept[p] += needs[p][static_cast<std::size_t>(m)].here;
        if (kind == Kind::backward) --kept[p];
        most[p] = std::max(most[p], kept[p]);
        ++next[p];
        moved = true;
      }
  }
  for (std::size_t p = 0; p < next.size(); ++p) {
    EXPECT_EQ(next[p], lists[p].size()) << "pipeline stage " << p << " waits for ever";
    EXPECT_TRUE(up[p].empty() && down[p].empty());
    EXPECT_EQ(kept[p], 0);
  }
  return most;
}

/// needs from who trains: trained[p][m].
std::vector<std::vector<BackwardNeed>> needs_of(const std::vector<std::vector<bool>>& trained) {
  std::vector<std::vector<BackwardNeed>> needs(trained.size());
  for (std::size_t p = 0; p < trained.size(); ++p)
    for (std::size_t m = 0; m < trained[p].size(); ++m) {
      const bool below = p > 0 && needs[p - 1][m].here;
      needs[p].push_back({below || trained[p][m], below});
    }
  return needs;
}

TEST(PipelineSchedule, FinishesWithinTheMemoryBound) {
  for (int stages = 1; stages <= 5; ++stages)
    for (int micro_batches = 0; micro_batches <= 9; ++micro_batches) {
      const std::vector<std::vector<bool>> all(static_cast<std::size_t>(stages),
                                               std::vector<bool>(static_cast<std::size_t>(micro_batches), true));
      const std::vector<int> most = simulate(stages, needs_of(all));
      for (int p = 0; p < stages; ++p)
        EXPECT_EQ(most[static_cast<std::size_t>(p)], std::min(stages - p, micro_batches)) << stages << " " << p;
    }
}

TEST(PipelineSchedule, FinishesWhateverIsFrozen) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 300; ++trial) {
    const int stages = 1 + static_cast<int>(random() % 5);
    std::vector<std::vector<bool>> trained(static_cast<std::size_t>(stages), std::vector<bool>(random() % 8));
    for (auto& stage : trained)
      for (std::size_t m = 0; m < stage.size(); ++m) stage[m] = random() % 3 == 0;
    const std::vector<int> most = simulate(stages, needs_of(trained));
    for (int p = 0; p < stages; ++p) EXPECT_LE(most[static_cast<std::size_t>(p)], stages - p);
  }
}

TEST(PipelineSchedule, FrozenStagesDoNoBackwardAndSendNoGradient) {
  // Only the last of three pipeline stages trains.
  const std::vector<std::vector<bool>> trained = {{false, false}, {false, false}, {true, true}};
  const auto needs = needs_of(trained);
  simulate(3, needs);
  for (int p = 0; p < 3; ++p)
    for (const PipelineAction& action : one_forward_one_backward(3, p, needs[static_cast<std::size_t>(p)])) {
      EXPECT_NE(action.kind, Kind::send_gradient);
      EXPECT_NE(action.kind, Kind::receive_gradient);
      if (p < 2) EXPECT_NE(action.kind, Kind::backward);
    }
}

TEST(PipelineSchedule, OneStageAlternates) {
  const std::vector<PipelineAction> expected = {{Kind::forward, 0}, {Kind::backward, 0}, {Kind::forward, 1}, {Kind::backward, 1}};
  EXPECT_EQ(one_forward_one_backward(1, 0, {{true, false}, {true, false}}), expected);
}

}  // namespace
}  // namespace retain::parallel
