// SPDX-License-Identifier: Apache-2.0
// What all image processors share: how bytes become floats.
#pragma once
#include <array>
#include <string>
#include <string_view>

#include "framework/image/decode.h"
#include "framework/image/image.h"
#include "framework/image/resize.h"

namespace retain::framework {

/// Steps in the order of transformers' processors: resize, rescale, normalise.
struct PixelSettings {
  AlphaMode alpha = AlphaMode::white;
  ResizeFilter filter = ResizeFilter::bicubic;
  bool do_resize = true;
  bool do_rescale = true;
  bool do_normalize = true;
  double rescale_factor = 1.0 / 255.0;
  std::array<double, 3> mean{};
  std::array<double, 3> std{};
};

/// The float of every byte in each channel, computed in the reference's order: double product, rounded to float; float
/// difference; float quotient.
using PixelValues = std::array<std::array<float, 256>, 3>;
PixelValues pixel_values(const PixelSettings& settings);

/// Digest of a picture and everything that is done to it: 32 hexadecimal digits of XXH3-128. `arrangement` says what
/// `settings` does not.
std::string picture_key(const Image& image, const PixelSettings& settings, std::string_view arrangement);

}  // namespace retain::framework
