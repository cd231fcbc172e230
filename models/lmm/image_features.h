// SPDX-License-Identifier: Apache-2.0
// From images to visual tokens, with the reuse of a frozen tower's features.
// Shape suffixes: I visual tokens of all images, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "models/lmm/batch.h"
#include "models/lmm/config.h"
#include "models/lmm/visual_encoder.h"
#include "parallel/comm/communicator.h"
#include "parallel/parameter.h"

namespace retain::models {

class FeatureCache;

class ImageFeatures {
 public:
  /// `cache` may be null; it, `parameters` and `group` (the tensor group) outlive this.
  ImageFeatures(const LmmConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group,
                FeatureCache* cache);

  /// Visual tokens [I,H] of all images in order, the same on all tensor ranks. While nothing in the tower is trained it runs
  /// without autograd, image by image, so that features do not depend on what else is in the micro-batch.
  at::Tensor forward(const std::vector<ImageInput>& images);

  /// The tower's weights are no longer those the cache's keys name.
  void forget_weights() { tower_digest_.clear(); }

 private:
  std::vector<at::Tensor> tower_features(const std::vector<ImageInput>& images);
  std::vector<at::Tensor> frozen_features(const std::vector<ImageInput>& images);
  std::vector<std::string> cache_keys(const std::vector<ImageInput>& images);
  void keep_common_hits(std::vector<at::Tensor>& found) const;

  parallel::Communicator& group_;
  FeatureCache* cache_;
  std::unique_ptr<VisualEncoder> encoder_;
  std::vector<at::Tensor> tower_weights_;
  std::string tower_digest_;  ///< of all tensor ranks' slices; empty until needed
};

}  // namespace retain::models
