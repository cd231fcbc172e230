// SPDX-License-Identifier: Apache-2.0
// Groups of ranks: neighbours together, each with a mesh of its own; what does not divide is refused.
#include "parallel/rank_groups.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/base/error.h"
#include "parallel/comm/mpi_communicator.h"
#include "parallel/mesh.h"

namespace retain::parallel {
namespace {

TEST(RankGroups, AreNeighboursThatSumAmongThemselves) {
  const std::shared_ptr<Communicator> world = open_world();
  const int ranks = world->size();
  for (int count = 1; count <= ranks; ++count) {
    if (ranks % count != 0) continue;
    const RankGroups groups(world, count);
    const int size = ranks / count;
    EXPECT_EQ(groups.index(), world->rank() / size);
    EXPECT_EQ(groups.own()->size(), size);
    EXPECT_EQ(groups.own()->world_rank(0), groups.index() * size);
    const Mesh mesh(groups.own(), {1, 1, size});
    at::Tensor sum = at::full({1}, static_cast<std::int64_t>(world->rank()), at::kLong);
    mesh.tensor().all_reduce(sum);
    EXPECT_EQ(sum.item<std::int64_t>(), size * (2 * groups.index() * size + size - 1) / 2) << count << " groups";
  }
}

TEST(RankGroups, OneGroupIsTheWorld) {
  const std::shared_ptr<Communicator> world = open_world();
  EXPECT_EQ(RankGroups(world, 1).own(), world);
}

TEST(RankGroups, RefuseWhatDoesNotDivide) {
  const std::shared_ptr<Communicator> world = open_world();
  for (const int count : {0, -1, world->size() + 1, 3})
    try {
      const RankGroups groups(world, count);
      ADD_FAILURE() << count;
    } catch (const framework::Error& error) {
      EXPECT_EQ(error.kind(), framework::ErrorKind::mesh_invalid);
      EXPECT_NE(std::string(error.what()).find("a multiple of " + std::to_string(count)), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace retain::parallel
