// SPDX-License-Identifier: Apache-2.0
#include "models/llava_onevision/config.h"

#include <string>
#include <vector>

#include "models/decoder/text_config.h"
#include "models/llava/config_parts.h"
#include "models/llava/original_parts.h"
#include "models/vision/vision_config.h"

namespace retain::models::llava_onevision {

using llava::check_tiles;
using llava::Pinpoints;
using llava::read_dtype;
using llava::read_max_tiles;
using llava::read_pinpoints;

namespace {

constexpr TowerDefaults kOneVisionTower{1152, 4304, 26, 16, 384, 14};  // LlavaOnevisionConfig() without vision_config

const framework::json::object kEmpty;

/// LlavaOnevisionConfig's: 1 to 6 tiles of 384 a side.
Pinpoints default_pinpoints() {
  Pinpoints pinpoints;
  for (std::int64_t i = 1; i <= 6; ++i)
    for (std::int64_t j = 1; j <= 6; ++j) pinpoints.emplace_back(384 * i, 384 * j);
  return pinpoints;
}

}  // namespace

LmmConfig read_transformers_config(const ConfigFields& fields, const std::filesystem::path&) {
  LmmConfig config;
  const ConfigFields text = fields.object("text_config").value_or(ConfigFields(kEmpty, fields.file(), "text_config."));
  if (text.text("model_type", "qwen2") != "qwen2") text.unsupported("model_type", "qwen2");
  const std::optional<ConfigFields> vision = fields.object("vision_config");
  config.text = read_qwen2(text);
  config.text.tied_head = config.text.tied_head || fields.boolean("tie_word_embeddings", false);
  config.vision = vision ? read_siglip(*vision)
                         : read_siglip(ConfigFields(kEmpty, fields.file(), "vision_config."), kOneVisionTower);
  config.projector_activation = fields.activation("projector_hidden_act", "gelu");
  config.projector_bias = fields.boolean("multimodal_projector_bias", true);
  const char* token_key = fields.has("image_token_index") ? "image_token_index" : "image_token_id";
  config.image_token = fields.integer(token_key, 151646, 0);
  if (config.image_token >= config.text.vocabulary)
    fields.refuse(token_key, "below vocab_size " + std::to_string(config.text.vocabulary),
                  std::to_string(config.image_token));
  if (fields.text("vision_feature_select_strategy", "full") != "full")
    fields.unsupported("vision_feature_select_strategy", "full");
  // hidden_states has one entry more than the tower has layers; -1 and `layers` are both the last.
  if (const std::vector<std::int64_t> layer = fields.integers("vision_feature_layer");
      !layer.empty() && (layer.size() != 1 || (layer[0] != -1 && layer[0] != config.vision.layers)))
    fields.unsupported("vision_feature_layer", "-1, the last layer");
  config.pinpoints = read_pinpoints(fields, config.vision.image_size, default_pinpoints());
  check_tiles(fields, config);
  config.max_tiles = read_max_tiles(fields, "vision_aspect_ratio", "anyres_max_9");
  config.eos_tokens = fields.integers("eos_token_id");
  if (config.eos_tokens.empty()) config.eos_tokens = text.integers("eos_token_id");
  config.stored_dtype = read_dtype(fields.has("dtype") || fields.has("torch_dtype") ? fields : text);
  return config;
}

LmmConfig read_original_config(const ConfigFields& fields, const std::filesystem::path& directory) {
  const auto only = [&](std::string_view key, const char* value) {
    if (fields.text(key, value) != value) fields.unsupported(key, value);
  };
  only("mm_projector_type", "mlp2x_gelu");
  only("mm_patch_merge_type", "spatial_unpad");
  only("mm_vision_select_feature", "patch");
  LmmConfig config;
  config.naming = "orig";
  config.text = read_qwen2(fields);
  const llava::TowerSource tower = llava::find_tower(fields, directory);
  config.vision = read_siglip(ConfigFields(tower.fields(), tower.file, tower.path));
  if (config.vision.layers < 2)
    fields.refuse("mm_vision_tower", "a tower of at least two layers, whose last is unused");
  config.vision.layers -= 1;
  if (fields.integer("mm_hidden_size", config.vision.hidden) != config.vision.hidden)
    fields.refuse("mm_hidden_size", "the tower's hidden_size " + std::to_string(config.vision.hidden));
  config.image_token = llava::find_image_token(directory, config.text.vocabulary);
  config.pinpoints = read_pinpoints(fields, config.vision.image_size, default_pinpoints());
  for (auto& [height, width] : config.pinpoints) std::swap(height, width);  // the file says (width, height)
  check_tiles(fields, config);
  config.max_tiles = read_max_tiles(fields, "image_aspect_ratio", "anyres_max_9");
  config.eos_tokens = fields.integers("eos_token_id");
  config.stored_dtype = read_dtype(fields);
  return config;
}

}  // namespace retain::models::llava_onevision
