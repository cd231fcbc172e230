// SPDX-License-Identifier: Apache-2.0
#include "models/llava/pictures.h"

#include <ATen/ops/from_blob.h>

#include <memory>
#include <utility>

#include "framework/base/error.h"

namespace retain::models::llava {

framework::AnyresSettings anyres_settings(const LmmConfig& config) {
  return {config.pinpoints, config.vision.image_size, config.vision.grid(), config.max_tiles, config.image_newline};
}

framework::ProcessorSettings read_processor(const std::filesystem::path& directory, const LmmConfig& config,
                                            framework::AlphaMode alpha) {
  const framework::ModelPictures model{config.vision.image_size, config.pinpoints, config.vision.kind == "clip",
                                       config.pads_pictures};
  framework::ProcessorSettings settings = framework::read_processor_settings(directory, model);
  if (settings.pinpoints != config.pinpoints)
    throw framework::Error(framework::ErrorKind::config_invalid,
                           {"the image processor in " + directory.string() + " tiles pictures unlike the model",
                            "the image_grid_pinpoints of config.json, in their order",
                            std::to_string(settings.pinpoints.size()) + " pairs that differ from the model's " +
                                std::to_string(config.pinpoints.size()),
                            "give preprocessor_config.json the list of config.json"});
  settings.alpha = alpha;
  return settings;
}

std::int64_t visual_tokens(std::int64_t height, std::int64_t width, const LmmConfig& config, framework::Tiling tiling) {
  const framework::AnyresSettings settings = anyres_settings(config);
  if (config.pinpoints.empty()) return framework::plan_single_tile(settings).tokens;
  return (tiling == framework::Tiling::single ? framework::plan_single_tile(settings)
                                              : framework::plan_anyres(height, width, settings))
      .tokens;
}

AnyresPictures::AnyresPictures(LmmConfig config, framework::ProcessorSettings settings)
    : config_(std::move(config)), settings_(std::move(settings)) {}

ImageInput AnyresPictures::read(const std::filesystem::path& file, std::size_t pictures_in_sample,
                                Pictures detail) const {
  const framework::Tiling tiling = pictures_in_sample > 1 ? framework::Tiling::single : framework::Tiling::anyres;
  ImageInput input;
  if (detail == Pictures::sizes) {
    const framework::ImageSize size = framework::read_size(file);
    input.height = size.height;
    input.width = size.width;
  } else {
    framework::ProcessedImage picture =
        framework::process_image(framework::load_image(file, settings_.alpha), settings_, tiling);
    input.height = picture.original_height;
    input.width = picture.original_width;
    input.key = std::move(picture.digest);
    const auto tiles = std::make_shared<std::vector<float>>(std::move(picture.tiles));
    input.pixels = at::from_blob(
        tiles->data(), {picture.tiles_count, 3, picture.side, picture.side}, [tiles](void*) {}, at::kFloat);
  }
  input.tokens = visual_tokens(input.height, input.width, config_, tiling);
  input.patches = framework::count_tiles(input.height, input.width, settings_, tiling) * config_.vision.patches();
  return input;
}

std::unique_ptr<PictureReader> make_pictures(const std::filesystem::path& directory, const LmmConfig& config,
                                             framework::AlphaMode alpha) {
  return std::make_unique<AnyresPictures>(config, read_processor(directory, config, alpha));
}

}  // namespace retain::models::llava
