// SPDX-License-Identifier: Apache-2.0
#include "models/vision/clip.h"

namespace retain::models {

Clip::Clip(const VisionConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group)
    : patches_(config, parameters),
      class_H_(parameters.at("vision.embeddings.class_embedding")),
      position_QH_(parameters.at("vision.embeddings.position_embedding.weight")),
      pre_norm_(parameters, "vision.pre_layrnorm", config.norm_eps),
      encoder_(config, parameters, group) {}

at::Tensor Clip::forward(const at::Tensor& tiles_NCSS) const {
  const at::Tensor patches_NPH = patches_.forward(tiles_NCSS);
  const at::Tensor class_N1H = class_H_.expand({patches_NPH.size(0), 1, patches_NPH.size(2)});
  const at::Tensor hidden_NQH = pre_norm_.forward(at::cat({class_N1H, patches_NPH}, 1) + position_QH_);
  return encoder_.forward(hidden_NQH).narrow(1, 1, patches_NPH.size(1));
}

}  // namespace retain::models
