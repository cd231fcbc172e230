// SPDX-License-Identifier: Apache-2.0
// Visual tokens as Qwen2.5-VL makes them: tower and merger in window order, then back to reading order.
#pragma once
#include <memory>

#include "models/lmm/config.h"
#include "models/lmm/visual_encoder.h"
#include "models/qwen2_5_vl/merger.h"
#include "models/qwen2_5_vl/tower.h"

namespace retain::models::qwen2_5_vl {

/// An image's features are the tower's [R,F] in window order.
class Encoder final : public VisualEncoder {
 public:
  Encoder(const LmmConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group);

  std::vector<at::Tensor> tower(std::span<const ImageInput> images) const override;
  at::Tensor tokens(std::span<const at::Tensor> features, std::span<const ImageInput> images) const override;

 private:
  VisionConfig vision_;
  Tower tower_;
  Merger merger_;
};

std::unique_ptr<VisualEncoder> make_encoder(const LmmConfig& config, const parallel::ParameterSet& parameters,
                                            parallel::Communicator& group);

}  // namespace retain::models::qwen2_5_vl
