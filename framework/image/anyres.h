// SPDX-License-Identifier: Apache-2.0
// Anyres geometry: which tiles a picture is cut into and how many visual tokens come of it, from sizes alone.
// Formulas: transformers 5.23 `LlavaOnevisionProcessor._get_number_of_features`,
// `LlavaOnevisionModel.pack_image_features` and `select_best_resolution`; LLaVA's `mm_utils.py` and `llava_arch.py`.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace retain::framework {

/// (height, width) in pixels.
using Resolution = std::pair<std::int64_t, std::int64_t>;

/// What of a model's configuration decides its visual tokens.
struct AnyresSettings {
  std::vector<Resolution> pinpoints;  ///< allowed sizes of the tiled picture, in the file's order (ties: the earliest)
  std::int64_t tile = 0;              ///< S: side of a tile in pixels; every pinpoint is a multiple of it
  std::int64_t grid = 0;              ///< p: patches along a side of a tile, floor(S / patch size)
  std::optional<std::int64_t> max_tiles;  ///< 9 for "anyres_max_9"; empty: never reduced
  bool newline = true;                    ///< a learned token closes every row of the tiled picture
};

/// The tile and token layout of one picture. Tile 0 is the whole picture squashed to S×S; tiles 1 … rows·cols are cut
/// row by row from the picture fitted into rows·S × cols·S. Their p×p features form a grid_height × grid_width map, of
/// which rows [row_begin, row_end) and columns [column_begin, column_end) show the picture and the rest padding.
struct AnyresPlan {
  bool single = false;  ///< one tile only, no map (pictures of samples that hold several)
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t grid_height = 0;  ///< rows · p
  std::int64_t grid_width = 0;   ///< cols · p
  std::int64_t row_begin = 0;
  std::int64_t row_end = 0;
  std::int64_t column_begin = 0;
  std::int64_t column_end = 0;
  /// Size the kept map is interpolated to (bilinear, align_corners off, no antialias); empty: it stays as it is.
  std::optional<Resolution> reduced;
  std::int64_t map_height = 0;   ///< rows of the map that become tokens
  std::int64_t map_width = 0;    ///< its columns, newline not counted
  std::int64_t base_tokens = 0;  ///< p², of tile 0; they come first and have no newline of their own
  std::int64_t tokens = 0;       ///< base_tokens + map_height · (map_width + newline); single: p² + newline

  std::int64_t tiles() const { return 1 + rows * cols; }
};

/// The pinpoint that keeps most of the picture's pixels; among equals the one with the least waste, then the earliest.
/// Throws Error(config_invalid) without pinpoints and Error(internal) for a size below 1.
Resolution select_best_resolution(std::int64_t height, std::int64_t width, const std::vector<Resolution>& pinpoints);

/// Size of a picture fitted inside `target` with its aspect kept: one side equals the target's, the other is rounded
/// up.
Resolution fit_inside(std::int64_t height, std::int64_t width, Resolution target);

/// Layout of a picture of `height` × `width` pixels. Throws Error(config_invalid) for settings that cannot work and
/// Error(image_aspect_ratio) for a picture so thin that the reduction leaves nothing of it.
AnyresPlan plan_anyres(std::int64_t height, std::int64_t width, const AnyresSettings& settings);

/// Layout of a picture that becomes one padded tile: p² tokens and one newline.
AnyresPlan plan_single_tile(const AnyresSettings& settings);

/// The number in "anyres_max_9"; empty for "anyres". Throws Error(config_unsupported) for anything else.
std::optional<std::int64_t> parse_anyres_limit(std::string_view aspect);

}  // namespace retain::framework
