// SPDX-License-Identifier: Apache-2.0
#include "framework/image/pixel_settings.h"

#include <cstdio>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace retain::framework {
namespace {

std::string describe(const PixelSettings& settings) {
  std::string text;
  for (const std::int64_t value : {static_cast<std::int64_t>(settings.filter), std::int64_t{settings.do_resize},
                                   std::int64_t{settings.do_rescale}, std::int64_t{settings.do_normalize}})
    text += std::to_string(value) + " ";
  const auto add = [&text](double value) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.17g ", value);
    text += digits;
  };
  add(settings.rescale_factor);
  for (const double value : settings.mean) add(value);
  for (const double value : settings.std) add(value);
  return text;
}

}  // namespace

PixelValues pixel_values(const PixelSettings& settings) {
  PixelValues values;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const auto mean = static_cast<float>(settings.mean[channel]), std = static_cast<float>(settings.std[channel]);
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const auto whole = static_cast<double>(byte);
      float value = static_cast<float>(settings.do_rescale ? whole * settings.rescale_factor : whole);
      if (settings.do_normalize) value = (value - mean) / std;
      values[channel][byte] = value;
    }
  }
  return values;
}

std::string picture_key(const Image& image, const PixelSettings& settings, std::string_view arrangement) {
  const std::string head = std::string(arrangement) + describe(settings) + std::to_string(image.height) + "x" +
                           std::to_string(image.width) + "\n";
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, head.data(), head.size());
  XXH3_128bits_update(&state, image.rgb.data(), image.rgb.size());
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

}  // namespace retain::framework
