// SPDX-License-Identifier: Apache-2.0
// p: side of a patch; g: patches along a side of a tile (P = g²).
#include "models/vision/siglip.h"

#include "framework/base/error.h"
#include "parallel/tensor/gemm.h"

namespace retain::models {

Siglip::Siglip(const VisionConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group)
    : config_(config),
      patch_weight_(parameters.at("vision.embeddings.patch_embedding.weight")),
      patch_bias_H_(parameters.at("vision.embeddings.patch_embedding.bias")),
      position_PH_(parameters.at("vision.embeddings.position_embedding.weight")) {
  layers_.reserve(static_cast<std::size_t>(config.layers));
  for (std::int64_t layer = 0; layer < config.layers; ++layer)
    layers_.emplace_back(config, parameters, "vision.encoder.layers." + std::to_string(layer), group);
}

at::Tensor Siglip::embed(const at::Tensor& tiles_NCSS) const {
  const std::int64_t tiles = tiles_NCSS.size(0), grid = config_.grid(), patch = config_.patch_size;
  // A convolution whose stride is its kernel is a product over unfolded patches.
  const at::Tensor patches = tiles_NCSS.narrow(2, 0, grid * patch)
                                 .narrow(3, 0, grid * patch)
                                 .reshape({tiles, config_.channels, grid, patch, grid, patch})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({tiles * grid * grid, config_.channels * patch * patch})
                                 .to(patch_weight_.scalar_type());
  const at::Tensor embedded_RH = parallel::apply_linear(patches, patch_weight_.flatten(1), patch_bias_H_);
  return (embedded_RH.view({tiles, grid * grid, config_.hidden}) + position_PH_).flatten(0, 1);
}

at::Tensor Siglip::forward(const at::Tensor& tiles_NCSS) const {
  if (tiles_NCSS.dim() != 4 || tiles_NCSS.size(1) != config_.channels || tiles_NCSS.size(2) != config_.image_size ||
      tiles_NCSS.size(3) != config_.image_size)
    throw framework::Error(framework::ErrorKind::data_invalid,
                           {"an image's tiles do not fit the vision tower",
                            "[tiles," + std::to_string(config_.channels) + "," + std::to_string(config_.image_size) + "," +
                                std::to_string(config_.image_size) + "]",
                            framework::to_string(tiles_NCSS.sizes().vec()),
                            "preprocess images with the model's own preprocessor_config.json"});
  const std::int64_t tiles = tiles_NCSS.size(0), patches = config_.patches();
  std::vector<std::int64_t> starts(static_cast<std::size_t>(tiles) + 1);
  for (std::size_t i = 0; i < starts.size(); ++i) starts[i] = static_cast<std::int64_t>(i) * patches;
  at::Tensor hidden_RH = embed(tiles_NCSS);
  for (const VitLayer& layer : layers_) hidden_RH = layer.forward(hidden_RH, starts);
  return hidden_RH.view({tiles, patches, config_.hidden});
}

}  // namespace retain::models
