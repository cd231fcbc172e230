// SPDX-License-Identifier: Apache-2.0
// Anyres geometry. Divisions, floors and roundings follow Python's doubles step by step: a token too many is an error.
#include "framework/image/anyres.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

std::string describe(std::int64_t height, std::int64_t width) {
  return "height " + std::to_string(height) + ", width " + std::to_string(width);
}

void require_size(std::int64_t height, std::int64_t width) {
  if (height >= 1 && width >= 1) return;
  throw Error(ErrorKind::internal, {"a picture without pixels", "sides of at least 1", describe(height, width), {}});
}

/// int(round(value, 7)) of Python: decimal rounding of the exact binary value.
std::int64_t floor_of_rounded(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.7f", value);
  return static_cast<std::int64_t>(std::strtod(text, nullptr));
}

/// `numerator // denominator` of Python's floats, which is not floor(numerator / denominator) when that rounds up.
std::int64_t floor_divide(double numerator, double denominator) {
  const double quotient = (numerator - std::fmod(numerator, denominator)) / denominator;
  double floored = std::floor(quotient);
  if (quotient - floored > 0.5) floored += 1.0;
  return static_cast<std::int64_t>(floored);
}

/// Cuts the padding off the map: the side that was padded keeps its centre.
void unpad(std::int64_t height, std::int64_t width, AnyresPlan& plan) {
  const auto original_height = static_cast<double>(height), original_width = static_cast<double>(width);
  const auto grid_height = static_cast<double>(plan.grid_height), grid_width = static_cast<double>(plan.grid_width);
  plan.row_end = plan.grid_height;
  plan.column_end = plan.grid_width;
  if (original_width / original_height > grid_width / grid_height) {
    const std::int64_t kept = floor_of_rounded(original_height * (grid_width / original_width));
    plan.row_begin = (plan.grid_height - kept) / 2;
    plan.row_end -= plan.row_begin;
  } else {
    const std::int64_t kept = floor_of_rounded(original_width * (grid_height / original_height));
    plan.column_begin = (plan.grid_width - kept) / 2;
    plan.column_end -= plan.column_begin;
  }
}

/// t = sqrt(h·w / (max·p²)); above 1.1 the map shrinks to (h // t) × (w // t).
void reduce(std::int64_t height, std::int64_t width, const AnyresSettings& settings, AnyresPlan& plan) {
  if (!settings.max_tiles) return;
  const double ratio = std::sqrt(static_cast<double>(plan.map_height * plan.map_width) /
                                 static_cast<double>(*settings.max_tiles * settings.grid * settings.grid));
  if (!(ratio > 1.1)) return;
  plan.map_height = floor_divide(static_cast<double>(plan.map_height), ratio);
  plan.map_width = floor_divide(static_cast<double>(plan.map_width), ratio);
  if (plan.map_height < 1 || plan.map_width < 1)
    throw Error(ErrorKind::image_aspect_ratio,
                {"a picture too thin to keep any visual token after the anyres_max reduction",
                 "a map of at least 1 x 1", describe(height, width), "crop the picture or leave it out"});
  plan.reduced = Resolution{plan.map_height, plan.map_width};
}

void require_settings(const AnyresSettings& settings) {
  if (settings.tile < 1 || settings.grid < 1)
    throw Error(ErrorKind::config_invalid,
                {"image tiles without patches", "image_size of at least one patch_size",
                 "tile " + std::to_string(settings.tile) + ", patches along a side " + std::to_string(settings.grid),
                 "check vision_config.image_size and patch_size"});
  if (settings.max_tiles && *settings.max_tiles < 1)
    throw Error(ErrorKind::config_invalid, {"the tile limit of anyres_max", "a number of at least 1",
                                            std::to_string(*settings.max_tiles), "check vision_aspect_ratio"});
}

}  // namespace

Resolution select_best_resolution(std::int64_t height, std::int64_t width, const std::vector<Resolution>& pinpoints) {
  require_size(height, width);
  if (pinpoints.empty())
    throw Error(ErrorKind::config_invalid,
                {"no image resolution to choose from", "at least one image_grid_pinpoints pair", "none",
                 "add image_grid_pinpoints to preprocessor_config.json"});
  const std::int64_t pixels = height * width;
  Resolution best = pinpoints.front();
  std::int64_t most_used = -1, least_waste = 0;
  for (const Resolution& candidate : pinpoints) {
    const double scale = std::min(static_cast<double>(candidate.second) / static_cast<double>(width),
                                  static_cast<double>(candidate.first) / static_cast<double>(height));
    const auto scaled_width = static_cast<std::int64_t>(static_cast<double>(width) * scale);
    const auto scaled_height = static_cast<std::int64_t>(static_cast<double>(height) * scale);
    const std::int64_t used = std::min(scaled_width * scaled_height, pixels);
    const std::int64_t waste = candidate.first * candidate.second - used;
    if (used < most_used || (used == most_used && waste >= least_waste)) continue;
    best = candidate;
    most_used = used;
    least_waste = waste;
  }
  return best;
}

Resolution fit_inside(std::int64_t height, std::int64_t width, Resolution target) {
  require_size(height, width);
  const double scale_width = static_cast<double>(target.second) / static_cast<double>(width);
  const double scale_height = static_cast<double>(target.first) / static_cast<double>(height);
  if (scale_width < scale_height) {
    const auto fitted = static_cast<std::int64_t>(std::ceil(static_cast<double>(height) * scale_width));
    return {std::min(fitted, target.first), target.second};
  }
  const auto fitted = static_cast<std::int64_t>(std::ceil(static_cast<double>(width) * scale_height));
  return {target.first, std::min(fitted, target.second)};
}

AnyresPlan plan_anyres(std::int64_t height, std::int64_t width, const AnyresSettings& settings) {
  require_settings(settings);
  const Resolution best = select_best_resolution(height, width, settings.pinpoints);
  if (best.first < settings.tile || best.second < settings.tile || best.first % settings.tile ||
      best.second % settings.tile)
    throw Error(
        ErrorKind::config_invalid,
        {"image_grid_pinpoints holds a pair that tiles cannot fill", "multiples of " + std::to_string(settings.tile),
         describe(best.first, best.second), "make every pair a multiple of the tower's image_size"});
  AnyresPlan plan;
  plan.rows = best.first / settings.tile;
  plan.cols = best.second / settings.tile;
  plan.grid_height = plan.rows * settings.grid;
  plan.grid_width = plan.cols * settings.grid;
  unpad(height, width, plan);
  plan.map_height = plan.row_end - plan.row_begin;
  plan.map_width = plan.column_end - plan.column_begin;
  reduce(height, width, settings, plan);
  plan.base_tokens = settings.grid * settings.grid;
  plan.tokens = plan.base_tokens + plan.map_height * (plan.map_width + (settings.newline ? 1 : 0));
  return plan;
}

AnyresPlan plan_single_tile(const AnyresSettings& settings) {
  require_settings(settings);
  AnyresPlan plan;
  plan.single = true;
  plan.base_tokens = settings.grid * settings.grid;
  plan.tokens = plan.base_tokens + (settings.newline ? 1 : 0);
  return plan;
}

std::optional<std::int64_t> parse_anyres_limit(std::string_view aspect) {
  constexpr std::string_view prefix = "anyres_max_";
  if (aspect == "anyres") return std::nullopt;
  std::int64_t limit = 0;
  if (aspect.starts_with(prefix)) {
    const char* end = aspect.data() + aspect.size();
    const auto parsed = std::from_chars(aspect.data() + prefix.size(), end, limit);
    if (parsed.ec == std::errc{} && parsed.ptr == end && limit >= 1) return limit;
  }
  throw Error(ErrorKind::config_unsupported,
              {"how pictures are tiled (vision_aspect_ratio or image_aspect_ratio)", "\"anyres\" or \"anyres_max_N\"",
               "\"" + std::string(aspect) + "\"", "use a model that tiles its pictures by anyres"});
}

}  // namespace retain::framework
