// SPDX-License-Identifier: Apache-2.0
#include "models/vision/siglip.h"

namespace retain::models {

Siglip::Siglip(const VisionConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group)
    : patches_(config, parameters),
      position_PH_(parameters.at("vision.embeddings.position_embedding.weight")),
      encoder_(config, parameters, group) {}

at::Tensor Siglip::forward(const at::Tensor& tiles_NCSS) const {
  return encoder_.forward(patches_.forward(tiles_NCSS) + position_PH_);
}

}  // namespace retain::models
