// SPDX-License-Identifier: Apache-2.0
#include "models/qwen2_5_vl/encoder.h"

#include "framework/base/error.h"
#include "models/qwen2_5_vl/windows.h"

namespace retain::models::qwen2_5_vl {
namespace {

framework::PatchGrid grid_of(const ImageInput& image) {
  return {image.grid[0], image.grid[1], image.grid[2]};
}

}  // namespace

Encoder::Encoder(const LmmConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group)
    : vision_(config.vision), tower_(config.vision, parameters, group), merger_(config, parameters, group) {}

std::vector<at::Tensor> Encoder::tower(std::span<const ImageInput> images) const {
  std::vector<at::Tensor> features;
  for (const ImageInput& image : images) features.push_back(tower_.forward(image.pixels, grid_of(image)));
  return features;
}

at::Tensor Encoder::tokens(std::span<const at::Tensor> features, std::span<const ImageInput> images) const {
  // One pass through the merger for all images, then every image's tokens to their places.
  const at::Tensor merged_UH = merger_.forward(at::cat(std::vector<at::Tensor>(features.begin(), features.end())));
  std::vector<at::Tensor> places;
  std::int64_t first = 0;
  for (const ImageInput& image : images) {
    const at::Tensor order_U = plan_windows(grid_of(image), vision_).unit_order_U;
    if (order_U.size(0) != image.tokens)
      throw framework::Error(framework::ErrorKind::data_image_count,
                             {"an image has another number of visual tokens than its patches make",
                              std::to_string(order_U.size(0)), std::to_string(image.tokens),
                              "prepare images with the model's own preprocessor_config.json and config.json"});
    places.push_back(order_U.argsort() + first);
    first += order_U.size(0);
  }
  return merged_UH.index_select(0, at::cat(places).to(merged_UH.device()));
}

std::unique_ptr<VisualEncoder> make_encoder(const LmmConfig& config, const parallel::ParameterSet& parameters,
                                            parallel::Communicator& group) {
  return std::make_unique<Encoder>(config, parameters, group);
}

}  // namespace retain::models::qwen2_5_vl
