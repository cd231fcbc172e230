// SPDX-License-Identifier: Apache-2.0
#include "models/llava/config_parts.h"

#include <charconv>

#include "models/llava/original_parts.h"

namespace retain::models::llava {

namespace json = framework::json;

std::optional<std::int64_t> read_max_tiles(const ConfigFields& fields, std::string_view key, std::string fallback) {
  const std::string text = fields.text(key, std::move(fallback));
  if (text == "anyres") return std::nullopt;
  constexpr std::string_view prefix = "anyres_max_";
  std::int64_t tiles = 0;
  const char* end = text.data() + text.size();
  if (!text.starts_with(prefix) || text.size() > prefix.size() + 6 ||
      std::from_chars(text.data() + prefix.size(), end, tiles).ptr != end)
    fields.unsupported(key, "anyres or anyres_max_N");
  if (tiles < 1) fields.refuse(key, "at least one tile");
  return tiles;
}

Pinpoints read_pinpoints(const ConfigFields& fields, std::int64_t tile, Pinpoints fallback) {
  constexpr std::string_view key = "image_grid_pinpoints";
  const json::value* found = fields.value(key);
  if (!found) return fallback;
  if (found->is_string()) return grid_of_tiles(fields, key, tile);
  const json::array* list = found->if_array();
  if (!list || list->empty() || list->size() > 10'000) fields.refuse(key, "a list of pairs of pixels");
  Pinpoints pinpoints;
  for (const json::value& item : *list) {
    const json::array* pair = item.if_array();
    std::int64_t sides[2] = {0, 0};
    for (std::size_t i = 0; i < 2 && pair && pair->size() == 2; ++i) {
      boost::system::error_code code;
      sides[i] = (*pair)[i].to_number<std::int64_t>(code);
      if (code) sides[i] = 0;
    }
    if (sides[0] < 1 || sides[1] < 1 || sides[0] > 1 << 20 || sides[1] > 1 << 20)
      fields.refuse(key, "pairs of pixels from 1 to 1048576", json::serialize(item));
    pinpoints.emplace_back(sides[0], sides[1]);
  }
  return pinpoints;
}

void check_tiles(const ConfigFields& fields, const LmmConfig& config) {
  if (!fields.has("image_grid_pinpoints")) return;
  const std::int64_t tile = config.vision.image_size;
  for (const auto& [height, width] : config.pinpoints)
    if (height % tile || width % tile)
      fields.refuse("image_grid_pinpoints", "multiples of the vision tower's image_size " + std::to_string(tile),
                    std::to_string(height) + " × " + std::to_string(width));
}

framework::DType read_dtype(const ConfigFields& fields) { return fields.dtype(); }

}  // namespace retain::models::llava
