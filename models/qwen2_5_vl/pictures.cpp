// SPDX-License-Identifier: Apache-2.0
#include "models/qwen2_5_vl/pictures.h"

#include <ATen/ops/from_blob.h>

#include <string>
#include <utility>

#include "framework/base/error.h"

namespace retain::models::qwen2_5_vl {

framework::PatchSettings read_processor(const std::filesystem::path& directory, const LmmConfig& config,
                                        framework::AlphaMode alpha) {
  framework::PatchSettings settings = framework::read_patch_settings(directory);
  const auto require = [&](const char* key, std::int64_t expected, std::int64_t found) {
    if (expected == found) return;
    throw framework::Error(framework::ErrorKind::config_invalid,
                           {"the image processor in " + directory.string() + " cuts pictures unlike the model: " + key,
                            std::to_string(expected) + ", as vision_config says", std::to_string(found),
                            "give preprocessor_config.json the sizes of config.json"});
  };
  require("patch_size", config.vision.patch_size, settings.patch);
  require("merge_size", config.vision.windowed->merge, settings.merge);
  require("temporal_patch_size", config.vision.windowed->frames, settings.frames);
  settings.alpha = alpha;
  return settings;
}

PatchPictures::PatchPictures(framework::PatchSettings settings) : settings_(std::move(settings)) {}

ImageInput PatchPictures::read(const std::filesystem::path& file, std::size_t, Pictures detail) const {
  ImageInput input;
  framework::PatchGrid grid;
  if (detail == Pictures::sizes) {
    const framework::ImageSize size = framework::read_size(file);
    input.height = size.height;
    input.width = size.width;
    grid = framework::plan_patches(size.height, size.width, settings_);
  } else {
    framework::ProcessedPatches picture =
        framework::process_patches(framework::load_image(file, settings_.alpha), settings_);
    input.height = picture.original_height;
    input.width = picture.original_width;
    input.key = std::move(picture.digest);
    grid = picture.grid;
    const auto values = std::make_shared<std::vector<float>>(std::move(picture.values));
    input.pixels = at::from_blob(
        values->data(), {grid.patches(), settings_.patch_values()}, [values](void*) {}, at::kFloat);
  }
  input.grid = {grid.frames, grid.rows, grid.columns};
  input.patches = grid.patches();
  input.tokens = grid.patches() / (settings_.merge * settings_.merge);
  return input;
}

std::unique_ptr<PictureReader> make_pictures(const std::filesystem::path& directory, const LmmConfig& config,
                                             framework::AlphaMode alpha) {
  return std::make_unique<PatchPictures>(read_processor(directory, config, alpha));
}

}  // namespace retain::models::qwen2_5_vl
