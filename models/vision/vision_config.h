// SPDX-License-Identifier: Apache-2.0
// Vision towers' configurations, as transformers writes them.
#pragma once
#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"

namespace retain::models {

/// Sizes that a tower takes when its configuration leaves them out.
struct TowerDefaults {
  std::int64_t hidden, intermediate, layers, heads, image_size, patch_size;
};
inline constexpr TowerDefaults kSiglipBase{768, 3072, 12, 12, 224, 16};  // SiglipVisionConfig()

/// A SigLIP tower. Throws Error(config_invalid, config_unsupported) naming the field.
VisionConfig read_siglip(const ConfigFields& fields, const TowerDefaults& defaults = kSiglipBase);

}  // namespace retain::models
