// SPDX-License-Identifier: Apache-2.0
#include "models/llava/config_parts.h"

#include <charconv>

#include "models/decoder/text_config.h"
#include "models/llava/original_parts.h"

namespace retain::models::llava {

namespace json = framework::json;

namespace {

const json::object kEmpty;

std::int64_t read_image_token(const ConfigFields& fields, std::int64_t fallback, std::int64_t vocabulary) {
  const char* key = fields.has("image_token_index") ? "image_token_index" : "image_token_id";
  const std::int64_t token = fields.integer(key, fallback, 0);
  if (token >= vocabulary) fields.refuse(key, "below vocab_size " + std::to_string(vocabulary), std::to_string(token));
  return token;
}

}  // namespace

VisionConfig read_tower(const ConfigFields& fields, std::string_view tower, std::optional<TowerDefaults> defaults) {
  return tower == "clip" ? read_clip(fields, defaults.value_or(kClipBase))
                         : read_siglip(fields, defaults.value_or(kSiglipBase));
}

LmmConfig read_transformers_parts(const ConfigFields& fields, const TransformersClass& defaults) {
  LmmConfig config;
  const ConfigFields text = fields.object("text_config").value_or(ConfigFields(kEmpty, fields.file(), "text_config."));
  config.text = read_text_config(text, defaults.decoders, defaults.decoders.front());
  config.text.tied_head = config.text.tied_head || fields.boolean("tie_word_embeddings", false);
  const std::optional<ConfigFields> vision = fields.object("vision_config");
  config.vision = vision ? read_tower(*vision, defaults.tower)
                         : read_tower(ConfigFields(kEmpty, fields.file(), "vision_config."), defaults.tower,
                                      defaults.tower_defaults);
  const std::string strategy(defaults.select_strategy);
  if (fields.text("vision_feature_select_strategy", strategy) != strategy)
    fields.unsupported("vision_feature_select_strategy", strategy);
  config.vision.unused_layers =
      layers_above_feature(fields, "vision_feature_layer", config.vision, defaults.feature_layer);
  config.projector_activation = fields.activation("projector_hidden_act", "gelu");
  config.projector_bias = fields.boolean("multimodal_projector_bias", true);
  config.image_token = read_image_token(fields, defaults.image_token, config.text.vocabulary);
  config.eos_tokens = fields.integers("eos_token_id");
  if (config.eos_tokens.empty()) config.eos_tokens = read_end_tokens(text, config.text.kind);
  config.stored_dtype = read_dtype(fields.has("dtype") || fields.has("torch_dtype") ? fields : text);
  return config;
}

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
