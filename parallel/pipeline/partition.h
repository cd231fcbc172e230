// SPDX-License-Identifier: Apache-2.0
// Which decoder layers each pipeline stage holds, balanced by cost.
#pragma once
#include <cstdint>
#include <vector>

#include "parallel/parameter.h"

namespace retain::parallel {

/// layers[p]: the half-open range of decoder layers of pipeline stage p. The first pipeline stage also holds the vision
/// tower, projector and embedding; the last one the final norm and head.
struct PipelinePartition {
  std::vector<Range> layers;
  int stages() const { return static_cast<int>(layers.size()); }
  int stage_of_layer(std::int64_t layer) const;
};

/// The contiguous partition with the smallest largest cost. `layer_cost` per decoder layer, `first_cost` added to the first
/// stage (vision, projector, embedding) and `last_cost` to the last (head); any unit. Middle stages hold at least one
/// layer, the first and last may hold none when that balances better. Ties: the earliest stages get the most layers.
/// Throws Error(mesh_invalid) when there are fewer layers than such a partition needs.
PipelinePartition balance(int stages, const std::vector<double>& layer_cost, double first_cost, double last_cost);

}  // namespace retain::parallel
