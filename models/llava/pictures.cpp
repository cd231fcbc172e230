// SPDX-License-Identifier: Apache-2.0
#include "models/llava/pictures.h"

#include <ATen/ops/from_blob.h>

#include <memory>
#include <utility>

#include "framework/base/error.h"
#include "framework/store/digest.h"
#include "models/llava/arrange.h"

namespace retain::models::llava {

namespace {

framework::ModelPictures model_pictures(const LmmConfig& config) {
  return {config.vision.image_size, config.pinpoints, config.vision.kind == "clip", config.pads_pictures};
}

at::Tensor tensor_of(std::vector<float> values, std::int64_t tiles, std::int64_t side) {
  const auto held = std::make_shared<std::vector<float>>(std::move(values));
  return at::from_blob(
      held->data(), {tiles, 3, side, side}, [held](void*) {}, at::kFloat);
}

}  // namespace

framework::AnyresSettings anyres_settings(const LmmConfig& config) {
  return {config.pinpoints, config.vision.image_size, config.vision.grid(), config.max_tiles, config.image_newline};
}

framework::ProcessorSettings read_processor(const std::filesystem::path& directory, const LmmConfig& config,
                                            framework::AlphaMode alpha) {
  framework::ProcessorSettings settings = framework::read_processor_settings(directory, model_pictures(config));
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

std::int64_t video_tokens(std::int64_t frames, const LmmConfig& config) {
  const std::int64_t side = pooled_side(config);
  return frames * side * side + (config.image_newline ? 1 : 0);
}

AnyresPictures::AnyresPictures(LmmConfig config, framework::ProcessorSettings settings,
                               std::optional<framework::ProcessorSettings> frames)
    : config_(std::move(config)), settings_(std::move(settings)), frames_(std::move(frames)) {}

ImageInput AnyresPictures::read(const framework::Picture& picture, std::size_t pictures_in_sample,
                                Pictures detail) const {
  const framework::Tiling tiling = pictures_in_sample > 1 ? framework::Tiling::single : framework::Tiling::anyres;
  ImageInput input;
  if (detail == Pictures::sizes) {
    const framework::ImageSize size = framework::read_size(picture);
    input.height = size.height;
    input.width = size.width;
  } else {
    framework::ProcessedImage processed =
        framework::process_image(framework::load_image(picture, settings_.alpha), settings_, tiling);
    input.height = processed.original_height;
    input.width = processed.original_width;
    input.key = std::move(processed.digest);
    input.pixels = tensor_of(std::move(processed.tiles), processed.tiles_count, processed.side);
  }
  input.tokens = visual_tokens(input.height, input.width, config_, tiling);
  input.patches = framework::count_tiles(input.height, input.width, settings_, tiling) * config_.vision.patches();
  return input;
}

ImageInput AnyresPictures::read_video(const framework::FrameList& video, Pictures detail) const {
  if (!frames_) throw framework::Error(framework::ErrorKind::data_invalid, "this model takes no videos");
  ImageInput input;
  input.frames = static_cast<std::int64_t>(video.frames.size());
  input.tokens = video_tokens(input.frames, config_);
  input.patches = input.frames * config_.vision.patches();
  if (detail == Pictures::sizes) {
    const framework::ImageSize size = framework::read_size(video.frames.front());
    input.height = size.height;
    input.width = size.width;
    return input;
  }
  std::vector<float> tiles;
  for (const std::filesystem::path& frame : video.frames) {
    const framework::ProcessedImage picture =
        framework::process_image(framework::load_image(frame, frames_->alpha), *frames_, framework::Tiling::single);
    if (tiles.empty()) {
      input.height = picture.original_height;
      input.width = picture.original_width;
      tiles.reserve(picture.tiles.size() * video.frames.size());
    }
    tiles.insert(tiles.end(), picture.tiles.begin(), picture.tiles.end());
    input.key += picture.digest;
  }
  input.key = to_hex(framework::digest_of("frames " + input.key));
  input.pixels = tensor_of(std::move(tiles), input.frames, frames_->side());
  return input;
}

std::unique_ptr<PictureReader> make_pictures(const std::filesystem::path& directory, const LmmConfig& config,
                                             framework::AlphaMode alpha) {
  return std::make_unique<AnyresPictures>(config, read_processor(directory, config, alpha));
}

std::unique_ptr<PictureReader> make_pictures_and_videos(const std::filesystem::path& directory, const LmmConfig& config,
                                                        framework::AlphaMode alpha) {
  framework::ProcessorSettings frames = framework::read_frame_settings(directory, model_pictures(config));
  frames.alpha = alpha;
  return std::make_unique<AnyresPictures>(config, read_processor(directory, config, alpha), std::move(frames));
}

}  // namespace retain::models::llava
