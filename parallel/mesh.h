// SPDX-License-Identifier: Apache-2.0
// The rank grid data × pipeline × tensor. World rank = (data · pipelines + pipeline) · tensors + tensor, so the ranks of
// a tensor group are neighbours. Every group derives from that one expression.
#pragma once
#include <memory>
#include <string>

#include "parallel/comm/communicator.h"

namespace retain::parallel {

/// Sizes of the three axes. "Pipeline stage" below always means a position on the pipeline axis, never a curriculum stage.
struct MeshShape {
  int data = 1;
  int pipeline = 1;
  int tensor = 1;
  int ranks() const { return data * pipeline * tensor; }
  bool operator==(const MeshShape&) const = default;
};

/// "2x1x2" (data x pipeline x tensor).
std::string to_string(const MeshShape& shape);
/// The shape for `ranks` ranks. Throws Error(mesh_invalid) when tensor × pipeline does not divide ranks.
MeshShape mesh_for(int ranks, int tensor, int pipeline);

/// This rank's coordinates.
struct MeshPosition {
  int data = 0;
  int pipeline = 0;
  int tensor = 0;
};
MeshPosition position_of(const MeshShape& shape, int world_rank);

class Mesh {
 public:
  /// Collective over `world`, whose size must equal shape.ranks() (Error(mesh_invalid) otherwise). Owns the groups.
  Mesh(std::shared_ptr<Communicator> world, MeshShape shape);

  const MeshShape& shape() const noexcept { return shape_; }
  const MeshPosition& position() const noexcept { return position_; }
  Communicator& world() const { return *world_; }
  Communicator& data() const { return *data_; }          ///< same pipeline stage and tensor slice, all replicas
  Communicator& pipeline() const { return *pipeline_; }  ///< one replica's pipeline stages, one tensor slice
  Communicator& tensor() const { return *tensor_; }      ///< one replica, one pipeline stage
  Communicator& replica() const { return *replica_; }    ///< all ranks of one replica (pipeline × tensor)
  bool is_first_pipeline_stage() const { return position_.pipeline == 0; }
  bool is_last_pipeline_stage() const { return position_.pipeline == shape_.pipeline - 1; }

 private:
  MeshShape shape_;
  MeshPosition position_;
  std::shared_ptr<Communicator> world_;
  std::unique_ptr<Communicator> data_, pipeline_, tensor_, replica_;
};

}  // namespace retain::parallel
