// SPDX-License-Identifier: Apache-2.0
#include "models/llava_onevision/config.h"

#include <array>
#include <string_view>

#include "models/llava/config_parts.h"
#include "models/llava/original_parts.h"

namespace retain::models::llava_onevision {
namespace {

constexpr std::array<std::string_view, 1> kDecoders{"qwen2"};
constexpr std::int64_t kImageToken = 151646;
constexpr llava::TransformersClass kOneVision{.decoders = kDecoders,
                                              .tower = "siglip",
                                              .tower_defaults = {1152, 4304, 26, 16, 384, 14},
                                              .image_token = kImageToken,
                                              .select_strategy = "full",
                                              .feature_layer = -1};
constexpr llava::OriginalModel kOriginal{.decoder = "qwen2", .tower = "siglip", .image_token = kImageToken};

/// LlavaOnevisionConfig's: 1 to 6 tiles of 384 a side.
llava::Pinpoints default_pinpoints() {
  llava::Pinpoints pinpoints;
  for (std::int64_t i = 1; i <= 6; ++i)
    for (std::int64_t j = 1; j <= 6; ++j) pinpoints.emplace_back(384 * i, 384 * j);
  return pinpoints;
}

}  // namespace

LmmConfig read_transformers_config(const ConfigFields& fields, const std::filesystem::path&) {
  LmmConfig config = llava::read_transformers_parts(fields, kOneVision);
  config.pinpoints = llava::read_pinpoints(fields, config.vision.image_size, default_pinpoints());
  llava::check_tiles(fields, config);
  config.max_tiles = llava::read_max_tiles(fields, "vision_aspect_ratio", "anyres_max_9");
  const std::int64_t video =
      fields.integer(fields.has("video_token_index") ? "video_token_index" : "video_token_id", kImageToken + 1, 0);
  if (video < config.text.vocabulary) config.video_token = video;
  return config;
}

LmmConfig read_original_config(const ConfigFields& fields, const std::filesystem::path& directory) {
  llava::require_only(fields, "mm_patch_merge_type", "spatial_unpad");
  LmmConfig config = llava::read_original_parts(fields, directory, kOriginal);
  config.pinpoints = llava::read_original_pinpoints(fields, config.vision.image_size, default_pinpoints());
  llava::check_tiles(fields, config);
  config.max_tiles = llava::read_max_tiles(fields, "image_aspect_ratio", "anyres_max_9");
  return config;
}

}  // namespace retain::models::llava_onevision
