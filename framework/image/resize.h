// SPDX-License-Identifier: Apache-2.0
// Resizing bit for bit as Pillow's Image.resize on 8-bit RGB (libImaging Resample.c): the filter widened by the scale
// when shrinking, weights of 22 fractional bits, two passes each rounded to 8 bits. Equal to Pillow 13.
#pragma once
#include <cstdint>

#include "framework/image/image.h"

namespace retain::framework {

/// Interpolation filters with Pillow's numbers, as `resample` in preprocessor_config.json gives them.
enum class ResizeFilter : std::uint8_t { bilinear = 2, bicubic = 3 };

/// `image` at `height` × `width` pixels (each at least 1). Throws Error(image_too_large) above max_image_pixels and
/// Error(internal) for a side below 1.
Image resize(const Image& image, std::int64_t height, std::int64_t width, ResizeFilter filter = ResizeFilter::bicubic);

}  // namespace retain::framework
