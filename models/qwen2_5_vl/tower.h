// SPDX-License-Identifier: Apache-2.0
// Qwen2.5-VL's vision tower over the patches of one picture of any size. Shape suffixes: R patches, V values of a
// patch, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "framework/image/patches.h"
#include "models/lmm/config.h"
#include "models/qwen2_5_vl/block.h"
#include "parallel/parameter.h"

namespace retain::models::qwen2_5_vl {

class Tower {
 public:
  /// `group` is the tensor group and outlives the tower.
  Tower(const VisionConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group);

  /// Features [R,H] in window order (see windows.h) of patches_RV (float32, normalised), in the parameters' dtype.
  /// Throws Error(data_invalid) for patches of another size or number than `grid` says.
  at::Tensor forward(const at::Tensor& patches_RV, const framework::PatchGrid& grid) const;

 private:
  bool attends_fully(std::size_t layer) const;

  VisionConfig config_;
  at::Tensor patch_weight_;
  std::vector<Block> blocks_;
};

}  // namespace retain::models::qwen2_5_vl
