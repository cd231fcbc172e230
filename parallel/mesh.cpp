// SPDX-License-Identifier: Apache-2.0
// The rank grid and its groups.
#include "parallel/mesh.h"

#include <utility>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

using framework::Error;
using framework::ErrorKind;

constexpr int max_listed_layouts = 24;

/// The layouts that `ranks` ranks can have, as "1x1x4, 1x2x2, …".
std::string layouts_of(int ranks) {
  std::string listed;
  int count = 0;
  for (int data = 1; data <= ranks; ++data) {
    if (ranks % data != 0) continue;
    for (int pipeline = 1; pipeline <= ranks / data; ++pipeline) {
      if (ranks / data % pipeline != 0) continue;
      if (++count > max_listed_layouts) return listed + ", …";
      listed += (listed.empty() ? "" : ", ") + to_string({data, pipeline, ranks / data / pipeline});
    }
  }
  return listed;
}

/// The one expression that every group derives from.
int rank_at(const MeshShape& shape, const MeshPosition& position) {
  return (position.data * shape.pipeline + position.pipeline) * shape.tensor + position.tensor;
}

}  // namespace

std::string to_string(const MeshShape& shape) {
  return std::to_string(shape.data) + "x" + std::to_string(shape.pipeline) + "x" + std::to_string(shape.tensor);
}

MeshShape mesh_for(int ranks, int tensor, int pipeline) {
  const std::string asked = "tensor = " + std::to_string(tensor) + ", pipeline = " + std::to_string(pipeline) + " on " +
                            std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks");
  if (ranks < 1 || tensor < 1 || pipeline < 1) {
    throw Error(ErrorKind::mesh_invalid, {"a mesh axis is smaller than 1", "tensor, pipeline and ranks of at least 1",
                                          asked, "set [parallel] tensor and pipeline to positive numbers"});
  }
  const std::int64_t replica = static_cast<std::int64_t>(tensor) * pipeline;
  if (replica > ranks || ranks % replica != 0) {
    throw Error(
        ErrorKind::mesh_invalid,
        {"the ranks cannot be laid out as asked",
         "tensor × pipeline that divides the number of ranks (data × pipeline × tensor: " + layouts_of(ranks) + ")",
         asked + " (tensor × pipeline = " + std::to_string(replica) + ")",
         "start a multiple of " + std::to_string(replica) +
             " ranks, or choose one of the layouts above in [parallel]"});
  }
  return {static_cast<int>(ranks / replica), pipeline, tensor};
}

MeshPosition position_of(const MeshShape& shape, int world_rank) {
  if (world_rank < 0 || world_rank >= shape.ranks()) {
    throw Error(ErrorKind::mesh_invalid,
                {"rank " + std::to_string(world_rank) + " is outside the mesh " + to_string(shape),
                 "a rank from 0 to " + std::to_string(shape.ranks() - 1),
                 std::to_string(world_rank),
                 {}});
  }
  return {world_rank / shape.tensor / shape.pipeline, world_rank / shape.tensor % shape.pipeline,
          world_rank % shape.tensor};
}

Mesh::Mesh(std::shared_ptr<Communicator> world, MeshShape shape) : shape_(shape), world_(std::move(world)) {
  if (shape_.data < 1 || shape_.pipeline < 1 || shape_.tensor < 1 || world_->size() != shape_.ranks()) {
    throw Error(ErrorKind::mesh_invalid,
                {"the mesh " + to_string(shape_) + " does not fit the ranks",
                 std::to_string(world_->size()) + " ranks in the product of its axes", std::to_string(shape_.ranks()),
                 "choose one of " + layouts_of(world_->size())});
  }
  const int rank = world_->rank();
  position_ = position_of(shape_, rank);
  // A group's color is the rank of its first member: this rank's position with the group's own axes set to 0.
  const auto color = [&](bool over_data, bool over_pipeline, bool over_tensor) {
    return rank_at(shape_, {over_data ? 0 : position_.data, over_pipeline ? 0 : position_.pipeline,
                            over_tensor ? 0 : position_.tensor});
  };
  data_ = world_->split(color(true, false, false), rank, "data");
  pipeline_ = world_->split(color(false, true, false), rank, "pipeline");
  tensor_ = world_->split(color(false, false, true), rank, "tensor");
  replica_ = world_->split(color(false, true, true), rank, "replica");
}

}  // namespace retain::parallel
