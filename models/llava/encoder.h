// SPDX-License-Identifier: Apache-2.0
// Visual tokens as LLaVA makes them: a tower over square tiles, a two-layer projector, tiles put together again.
#pragma once
#include <memory>

#include "models/llava/projector.h"
#include "models/lmm/config.h"
#include "models/lmm/visual_encoder.h"
#include "models/vision/tower.h"

namespace retain::models::llava {

/// An image's features are [N,P,F]: N tiles, P patches a tile, F features of the tower.
class Encoder final : public VisualEncoder {
 public:
  Encoder(const LmmConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group);

  std::vector<at::Tensor> tower(std::span<const ImageInput> images) const override;
  at::Tensor tokens(std::span<const at::Tensor> features, std::span<const ImageInput> images) const override;

 private:
  LmmConfig config_;
  std::unique_ptr<VisionTower> tower_;
  Projector projector_;
  at::Tensor newline_H_;  ///< undefined without one
};

std::unique_ptr<VisualEncoder> make_encoder(const LmmConfig& config, const parallel::ParameterSet& parameters,
                                            parallel::Communicator& group);

}  // namespace retain::models::llava
