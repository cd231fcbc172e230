// SPDX-License-Identifier: Apache-2.0
#include "models/llava/encoder.h"

#include "models/llava/arrange.h"

namespace retain::models::llava {

Encoder::Encoder(const LmmConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group)
    : config_(config),
      tower_(make_tower(config.vision, parameters, group)),
      projector_(config, parameters, group),
      newline_H_(config.image_newline ? parameters.at("image_newline") : at::Tensor()) {}

std::vector<at::Tensor> Encoder::tower(std::span<const ImageInput> images) const {
  std::vector<at::Tensor> tiles;
  std::vector<std::int64_t> counts;
  for (const ImageInput& image : images) {
    tiles.push_back(image.pixels);
    counts.push_back(image.pixels.size(0));
  }
  return tower_->forward(at::cat(tiles)).split_with_sizes(counts);
}

at::Tensor Encoder::tokens(std::span<const at::Tensor> features, std::span<const ImageInput> images) const {
  const at::Tensor projected_NPH = projector_.forward(at::cat(std::vector<at::Tensor>(features.begin(), features.end())));
  std::vector<at::Tensor> tokens;
  std::int64_t tile = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::int64_t tiles = features[i].size(0);
    tokens.push_back(arrange_visual_tokens(projected_NPH.narrow(0, tile, tiles), newline_H_, images[i], config_));
    tile += tiles;
  }
  return at::cat(tokens);
}

std::unique_ptr<VisualEncoder> make_encoder(const LmmConfig& config, const parallel::ParameterSet& parameters,
                                            parallel::Communicator& group) {
  return std::make_unique<Encoder>(config, parameters, group);
}

}  // namespace retain::models::llava
