// SPDX-License-Identifier: Apache-2.0
#include "models/qwen2_5_vl/pictures.h"

#include <ATen/ops/from_blob.h>

#include <memory>
#include <string>
#include <utility>

#include "framework/base/error.h"
#include "framework/store/digest.h"

namespace retain::models::qwen2_5_vl {

framework::PatchSettings read_processor(const std::filesystem::path& directory, const LmmConfig& config,
                                        framework::AlphaMode alpha, bool videos) {
  framework::PatchSettings settings =
      videos ? framework::read_video_patch_settings(directory) : framework::read_patch_settings(directory);
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

namespace {

ImageInput input_of(const framework::PatchGrid& grid, const framework::PatchSettings& settings) {
  ImageInput input;
  input.grid = {grid.frames, grid.rows, grid.columns};
  input.patches = grid.patches();
  input.tokens = grid.patches() / (settings.merge * settings.merge);
  return input;
}

ImageInput input_of(framework::ProcessedPatches picture, const framework::PatchSettings& settings) {
  ImageInput input = input_of(picture.grid, settings);
  input.height = picture.original_height;
  input.width = picture.original_width;
  input.key = std::move(picture.digest);
  const auto values = std::make_shared<std::vector<float>>(std::move(picture.values));
  input.pixels = at::from_blob(
      values->data(), {input.patches, settings.patch_values()}, [values](void*) {}, at::kFloat);
  return input;
}

}  // namespace

PatchPictures::PatchPictures(framework::PatchSettings settings, framework::PatchSettings videos)
    : settings_(std::move(settings)), videos_(std::move(videos)) {}

ImageInput PatchPictures::read(const framework::Picture& picture, std::size_t, Pictures detail) const {
  if (detail == Pictures::pixels)
    return input_of(framework::process_patches(framework::load_image(picture, settings_.alpha), settings_), settings_);
  const framework::ImageSize size = framework::read_size(picture);
  ImageInput input = input_of(framework::plan_patches(size.height, size.width, settings_), settings_);
  input.height = size.height;
  input.width = size.width;
  return input;
}

ImageInput PatchPictures::read_video(const framework::FrameList& video, Pictures detail) const {
  const auto count = static_cast<std::int64_t>(video.frames.size());
  ImageInput input;
  if (detail == Pictures::pixels) {
    std::vector<framework::Image> frames;
    for (const std::filesystem::path& frame : video.frames)
      frames.push_back(framework::load_image(frame, videos_.alpha));
    input = input_of(framework::process_video_patches(frames, videos_), videos_);
    input.key = to_hex(framework::digest_of("frames " + input.key));
  } else {
    const framework::ImageSize size = framework::read_size(video.frames.front());
    input = input_of(framework::plan_video_patches(count, size.height, size.width, videos_), videos_);
    input.height = size.height;
    input.width = size.width;
  }
  input.frames = count;
  input.seconds_per_frame = static_cast<double>(videos_.frames) / video.per_second;
  return input;
}

std::unique_ptr<PictureReader> make_pictures(const std::filesystem::path& directory, const LmmConfig& config,
                                             framework::AlphaMode alpha) {
  return std::make_unique<PatchPictures>(read_processor(directory, config, alpha),
                                         read_processor(directory, config, alpha, true));
}

}  // namespace retain::models::qwen2_5_vl
