// SPDX-License-Identifier: Apache-2.0
// The CLIP vision tower as LLaVA uses it (Radford et al. 2021): a class token before the patches, a norm before the
// first layer; features are the patches' rows of the last computed layer. Shape suffixes: N tiles, C channels, S tile
// side, P patches a tile, Q = P + 1, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include "models/lmm/config.h"
#include "models/vision/tower.h"
#include "models/vision/vit.h"
#include "parallel/parameter.h"

namespace retain::models {

class Clip final : public VisionTower {
 public:
  /// `group` is the tensor group and outlives the tower.
  Clip(const VisionConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group);

  at::Tensor forward(const at::Tensor& tiles_NCSS) const override;

 private:
  PatchEmbedding patches_;
  at::Tensor class_H_, position_QH_;
  LayerNorm pre_norm_;
  VitEncoder encoder_;
};

}  // namespace retain::models
