// SPDX-License-Identifier: Apache-2.0
#include "models/llava_1_5/config.h"

#include <array>
#include <string>
#include <string_view>

#include "models/llava/config_parts.h"
#include "models/llava/original_parts.h"

namespace retain::models::llava_1_5 {
namespace {

constexpr std::array<std::string_view, 1> kDecoders{"llama"};
constexpr std::int64_t kImageToken = 32000;
constexpr llava::TransformersClass kClass{.decoders = kDecoders,
                                          .tower = "clip",
                                          .tower_defaults = {1024, 4096, 24, 16, 336, 14},
                                          .image_token = kImageToken,
                                          .select_strategy = "default",
                                          .feature_layer = -2};
constexpr llava::OriginalModel kOriginal{.decoder = "llama", .tower = "clip", .image_token = kImageToken};

}  // namespace

LmmConfig read_transformers_config(const ConfigFields& fields, const std::filesystem::path&) {
  LmmConfig config = llava::read_transformers_parts(fields, kClass);
  config.image_newline = false;
  return config;
}

LmmConfig read_original_config(const ConfigFields& fields, const std::filesystem::path& directory) {
  constexpr std::string_view key = "image_aspect_ratio";
  const std::string aspect = fields.text(key, "square");
  if (aspect != "pad" && aspect != "square") fields.unsupported(key, "pad, square or none");
  LmmConfig config = llava::read_original_parts(fields, directory, kOriginal);
  config.image_newline = false;
  config.pads_pictures = aspect == "pad";
  return config;
}

bool is_original(const ConfigFields& fields) {
  return fields.has("mm_vision_tower") && fields.text("mm_patch_merge_type", "flat") == "flat";
}

bool is_transformers(const ConfigFields& fields) {
  return !fields.has("mm_vision_tower");
}

}  // namespace retain::models::llava_1_5
