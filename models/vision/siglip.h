// SPDX-License-Identifier: Apache-2.0
// The SigLIP vision tower as LLaVA-OneVision uses it (Zhai et al. 2023): features are the last computed layer's output,
// before post_layernorm. Shape suffixes: N tiles, C channels, S tile side, P patches a tile, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include "models/lmm/config.h"
#include "models/vision/tower.h"
#include "models/vision/vit.h"
#include "parallel/parameter.h"

namespace retain::models {

class Siglip final : public VisionTower {
 public:
  /// `group` is the tensor group and outlives the tower.
  Siglip(const VisionConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group);

  at::Tensor forward(const at::Tensor& tiles_NCSS) const override;

 private:
  PatchEmbedding patches_;
  at::Tensor position_PH_;
  VitEncoder encoder_;
};

}  // namespace retain::models
