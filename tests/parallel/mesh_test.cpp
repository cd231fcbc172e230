// SPDX-License-Identifier: Apache-2.0
// The rank grid: coordinates, groups, refusals.
#include "parallel/mesh.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "framework/base/error.h"
#include "parallel/comm/mpi_communicator.h"

namespace retain::parallel {
namespace {

std::string refusal(int ranks, int tensor, int pipeline) {
  try {
    mesh_for(ranks, tensor, pipeline);
  } catch (const framework::Error& error) {
    EXPECT_EQ(error.kind(), framework::ErrorKind::mesh_invalid);
    return error.what();
  }
  return "";
}

TEST(MeshShape, DataIsWhatTheOtherAxesLeave) {
  EXPECT_EQ(mesh_for(8, 2, 2), (MeshShape{2, 2, 2}));
  EXPECT_EQ(mesh_for(3, 1, 3), (MeshShape{1, 3, 1}));
  EXPECT_EQ(to_string(MeshShape{4, 3, 2}), "4x3x2");
}

TEST(MeshShape, RefusalListsTheLegalLayouts) {
  EXPECT_THAT(refusal(6, 4, 1), ::testing::AllOf(::testing::HasSubstr("1x2x3"), ::testing::HasSubstr("6x1x1"),
                                                 ::testing::HasSubstr("tensor = 4, pipeline = 1 on 6 ranks"),
                                                 ::testing::HasSubstr("multiple of 4")));
  EXPECT_THAT(refusal(1, 1, 2), ::testing::HasSubstr("1x1x1"));
  EXPECT_THAT(refusal(4, 0, 1), ::testing::HasSubstr("at least 1"));
  EXPECT_THAT(refusal(4, 65536, 65536), ::testing::HasSubstr("cannot be laid out"));
}

TEST(MeshShape, PositionsCountTensorFirst) {
  const MeshShape shape{2, 3, 4};
  for (int rank = 0; rank < shape.ranks(); ++rank) {
    const MeshPosition at = position_of(shape, rank);
    EXPECT_EQ((at.data * 3 + at.pipeline) * 4 + at.tensor, rank);
    EXPECT_LT(at.tensor, 4);
    EXPECT_LT(at.pipeline, 3);
  }
  EXPECT_THROW(position_of(shape, 24), framework::Error);
  EXPECT_THROW(position_of(shape, -1), framework::Error);
}

/// The members that `group` must have: all world ranks that share the coordinates the group does not run over.
std::vector<int> members(const MeshShape& shape, const MeshPosition& own, bool data, bool pipeline, bool tensor) {
  std::vector<int> ranks;
  for (int rank = 0; rank < shape.ranks(); ++rank) {
    const MeshPosition at = position_of(shape, rank);
    if ((data || at.data == own.data) && (pipeline || at.pipeline == own.pipeline) &&
        (tensor || at.tensor == own.tensor)) {
      ranks.push_back(rank);
    }
  }
  return ranks;
}

void expect_group(Communicator& group, const std::vector<int>& expected, int world_rank) {
  ASSERT_EQ(group.size(), static_cast<int>(expected.size())) << group.name();
  for (int member = 0; member < group.size(); ++member) {
    EXPECT_EQ(group.world_rank(member), expected[static_cast<std::size_t>(member)]) << group.name();
  }
  EXPECT_EQ(group.world_rank(group.rank()), world_rank);
  at::Tensor sum = at::full({1}, world_rank, at::kLong);
  group.all_reduce(sum);
  std::int64_t total = 0;
  for (const int rank : expected) total += rank;
  EXPECT_EQ(sum.item<std::int64_t>(), total) << group.name();
}

TEST(Mesh, GroupsShareTheCoordinatesTheyDoNotRunOver) {
  const std::shared_ptr<Communicator> world = open_world({.timeout = std::chrono::seconds(30)});
  for (int tensor = 1; tensor <= world->size(); ++tensor) {
    for (int pipeline = 1; pipeline <= world->size() / tensor; ++pipeline) {
      if (world->size() % (tensor * pipeline) != 0) continue;
      const MeshShape shape = mesh_for(world->size(), tensor, pipeline);
      const Mesh mesh(world, shape);
      const MeshPosition own = mesh.position();
      expect_group(mesh.data(), members(shape, own, true, false, false), world->rank());
      expect_group(mesh.pipeline(), members(shape, own, false, true, false), world->rank());
      expect_group(mesh.tensor(), members(shape, own, false, false, true), world->rank());
      expect_group(mesh.replica(), members(shape, own, false, true, true), world->rank());
      EXPECT_EQ(mesh.is_first_pipeline_stage(), mesh.pipeline().rank() == 0);
      EXPECT_EQ(mesh.is_last_pipeline_stage(), mesh.pipeline().rank() == pipeline - 1);
    }
  }
  EXPECT_THROW(Mesh(world, MeshShape{world->size() + 1, 1, 1}), framework::Error);
}

}  // namespace
}  // namespace retain::parallel
