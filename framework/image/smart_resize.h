// SPDX-License-Identifier: Apache-2.0
// The size Qwen2-VL and Qwen2.5-VL give a picture (`smart_resize` of transformers' image_processing_qwen2_vl.py and of
// qwen-vl-utils): sides that whole merged patches fill, area within limits, aspect nearly kept.
#pragma once
#include <cstdint>

#include "framework/image/anyres.h"

namespace retain::framework {

struct SmartResizeSettings {
  std::int64_t factor = 28;                  ///< patch size × merge size, pixels; both sides are multiples of it
  std::int64_t min_pixels = 56 * 56;         ///< `size.shortest_edge` or `min_pixels` of preprocessor_config.json
  std::int64_t max_pixels = 28 * 28 * 1280;  ///< `size.longest_edge` or `max_pixels`
};

/// (height, width) after resizing. Throws Error(image_aspect_ratio) when one side is more than 200 times the other and
/// Error(config_invalid) for settings below 1.
Resolution smart_resize(std::int64_t height, std::int64_t width, const SmartResizeSettings& settings);

}  // namespace retain::framework
