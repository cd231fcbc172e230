// SPDX-License-Identifier: Apache-2.0
// Fields that the configurations of LLaVA's models share.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/base/dtype.h"
#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"
#include "models/vision/vision_config.h"

namespace retain::models::llava {

using Pinpoints = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// What transformers' configuration classes of this build differ in.
struct TransformersClass {
  std::span<const std::string_view> decoders;  ///< kinds that text_config may name; the first where it names none
  std::string_view tower;                      ///< "siglip" or "clip"
  TowerDefaults tower_defaults;                ///< without a vision_config
  std::int64_t image_token;
  std::string_view select_strategy;
  std::int64_t feature_layer;
};

/// The fields these classes share: decoder, tower, projector, image token, end tokens, dtype.
LmmConfig read_transformers_parts(const ConfigFields& fields, const TransformersClass& defaults);

/// A tower's own configuration. `tower`: "siglip" or "clip"; without `defaults` its class's.
VisionConfig read_tower(const ConfigFields& fields, std::string_view tower, std::optional<TowerDefaults> defaults = {});

/// "anyres_max_9" is 9, "anyres" no limit.
std::optional<std::int64_t> read_max_tiles(const ConfigFields& fields, std::string_view key, std::string fallback);

/// `image_grid_pinpoints`, pairs as they stand or "(1x1),...,(6x6)" in tiles of `tile` pixels; `fallback` where absent.
Pinpoints read_pinpoints(const ConfigFields& fields, std::int64_t tile, Pinpoints fallback);

/// Throws Error(config_invalid) where the file's resolutions are not whole tiles.
void check_tiles(const ConfigFields& fields, const LmmConfig& config);

/// `dtype` or `torch_dtype`; float32 where absent.
framework::DType read_dtype(const ConfigFields& fields);

}  // namespace retain::models::llava
