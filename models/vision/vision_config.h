// SPDX-License-Identifier: Apache-2.0
// Vision towers' configurations, as transformers writes them.
#pragma once
#include <cstdint>
#include <string_view>

#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"

namespace retain::models {

/// Sizes that a tower takes when its configuration leaves them out.
struct TowerDefaults {
  std::int64_t hidden, intermediate, layers, heads, image_size, patch_size;
};
inline constexpr TowerDefaults kSiglipBase{768, 3072, 12, 12, 224, 16};  // SiglipVisionConfig()
inline constexpr TowerDefaults kClipBase{768, 3072, 12, 12, 224, 32};    // CLIPVisionConfig()

/// A SigLIP tower. Throws Error(config_invalid, config_unsupported) naming the field.
VisionConfig read_siglip(const ConfigFields& fields, const TowerDefaults& defaults = kSiglipBase);
/// A CLIP tower, likewise.
VisionConfig read_clip(const ConfigFields& fields, const TowerDefaults& defaults = kClipBase);

/// How many of the tower's last layers lie above the hidden state that `key` chooses, counted as transformers counts
/// hidden_states: 0 is what enters the first layer, -1 what the last gives. Throws Error(config_invalid,
/// config_unsupported) for one that is not there and for several.
std::int64_t layers_above_feature(const ConfigFields& fields, std::string_view key, const VisionConfig& vision,
                                  std::int64_t fallback);

}  // namespace retain::models
