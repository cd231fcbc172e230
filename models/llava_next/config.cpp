// SPDX-License-Identifier: Apache-2.0
#include "models/llava_next/config.h"

#include <array>
#include <string_view>

#include "models/llava/config_parts.h"
#include "models/llava/original_parts.h"

namespace retain::models::llava_next {
namespace {

constexpr std::array<std::string_view, 2> kDecoders{"llama", "mistral"};
constexpr std::int64_t kImageToken = 32000;
constexpr llava::TransformersClass kNext{.decoders = kDecoders,
                                         .tower = "clip",
                                         .tower_defaults = {1024, 4096, 24, 16, 336, 14},
                                         .image_token = kImageToken,
                                         .select_strategy = "default",
                                         .feature_layer = -2};

/// LlavaNextConfig's; the original codebase's files list the same pairs the other way round.
llava::Pinpoints default_pinpoints() {
  return {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
}

LmmConfig read_original(const ConfigFields& fields, const std::filesystem::path& directory, std::string_view decoder) {
  llava::require_only(fields, "mm_patch_merge_type", "spatial_unpad");
  LmmConfig config =
      llava::read_original_parts(fields, directory, {.decoder = decoder, .tower = "clip", .image_token = kImageToken});
  config.pinpoints = llava::read_original_pinpoints(fields, config.vision.image_size, default_pinpoints());
  llava::check_tiles(fields, config);
  config.max_tiles = llava::read_max_tiles(fields, "image_aspect_ratio", "anyres");
  return config;
}

}  // namespace

LmmConfig read_transformers_config(const ConfigFields& fields, const std::filesystem::path&) {
  LmmConfig config = llava::read_transformers_parts(fields, kNext);
  config.pinpoints = llava::read_pinpoints(fields, config.vision.image_size, default_pinpoints());
  llava::check_tiles(fields, config);
  return config;
}

LmmConfig read_original_llama(const ConfigFields& fields, const std::filesystem::path& directory) {
  return read_original(fields, directory, "llama");
}

LmmConfig read_original_mistral(const ConfigFields& fields, const std::filesystem::path& directory) {
  return read_original(fields, directory, "mistral");
}

bool merges_tiles(const ConfigFields& fields) {
  return fields.has("mm_vision_tower") && fields.text("mm_patch_merge_type", "flat") != "flat";
}

}  // namespace retain::models::llava_next
