// SPDX-License-Identifier: Apache-2.0
#include "framework/image/smart_resize.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

constexpr double max_ratio = 200.0;

void require_sensible(double height, double width, const SmartResizeSettings& settings) {
  if (settings.factor < 1 || settings.min_pixels < 1 || settings.max_pixels < 1)
    throw Error(ErrorKind::config_invalid,
                {"the pixel limits of the image processor", "numbers of at least 1",
                 std::to_string(settings.min_pixels) + " to " + std::to_string(settings.max_pixels),
                 "correct size in preprocessor_config.json"});
  if (height < 1 || width < 1) throw Error(ErrorKind::internal, "a picture without pixels");
  const double ratio = std::max(height, width) / std::min(height, width);
  if (ratio > max_ratio)
    throw Error(ErrorKind::image_aspect_ratio,
                {"a picture is too thin for this model", "an aspect ratio of at most 200", std::to_string(ratio),
                 "crop the picture, or leave its record out"});
}

}  // namespace

Resolution smart_resize(std::int64_t height, std::int64_t width, const SmartResizeSettings& settings) {
  const auto h = static_cast<double>(height), w = static_cast<double>(width),
             factor = static_cast<double>(settings.factor);
  require_sensible(h, w, settings);
  const auto multiple = [&settings](double units) { return static_cast<std::int64_t>(units) * settings.factor; };
  // nearbyint rounds halves to even, as Python's round does.
  Resolution size{multiple(std::nearbyint(h / factor)), multiple(std::nearbyint(w / factor))};
  const std::int64_t area = size.first * size.second;
  if (area > settings.max_pixels) {
    const double beta = std::sqrt(static_cast<double>(height * width) / static_cast<double>(settings.max_pixels));
    size = {std::max(settings.factor, multiple(std::floor(h / beta / factor))),
            std::max(settings.factor, multiple(std::floor(w / beta / factor)))};
  } else if (area < settings.min_pixels) {
    const double beta = std::sqrt(static_cast<double>(settings.min_pixels) / static_cast<double>(height * width));
    size = {multiple(std::ceil(h * beta / factor)), multiple(std::ceil(w * beta / factor))};
  }
  return size;
}

}  // namespace retain::framework
