// SPDX-License-Identifier: Apache-2.0
// A vision tower over square tiles. Shape suffixes: N tiles, C channels, S tile side, P patches a tile, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>

#include "models/lmm/config.h"
#include "parallel/parameter.h"

namespace retain::parallel {
class Communicator;
}

namespace retain::models {

class VisionTower {
 public:
  virtual ~VisionTower() = default;

  /// Features [N,P,H] of tiles_NCSS (float32, normalised) in the parameters' dtype. Pixels that do not fill a patch at the
  /// right and bottom are left out. Throws Error(data_invalid) for tiles of another size.
  virtual at::Tensor forward(const at::Tensor& tiles_NCSS) const = 0;
};

/// The tower that `config.kind` names; `group` is the tensor group and outlives it.
std::unique_ptr<VisionTower> make_tower(const VisionConfig& config, const parallel::ParameterSet& parameters,
                                        parallel::Communicator& group);

}  // namespace retain::models
