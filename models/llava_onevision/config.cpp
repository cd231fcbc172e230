// SPDX-License-Identifier: Apache-2.0
#include "models/llava_onevision/config.h"

#include <charconv>
#include <string>
#include <vector>

#include "framework/base/error.h"
#include "models/llava_onevision/original_parts.h"

namespace retain::models::llava_onevision {

namespace json = framework::json;

namespace {

/// Sizes that a SigLIP tower takes when its configuration leaves them out.
struct TowerDefaults {
  std::int64_t hidden, intermediate, layers, heads, image_size, patch_size;
};
constexpr TowerDefaults kSiglipBase{768, 3072, 12, 12, 224, 16};       // SiglipVisionConfig()
constexpr TowerDefaults kOneVisionTower{1152, 4304, 26, 16, 384, 14};  // LlavaOnevisionConfig() without vision_config

const json::object kEmpty;

std::int64_t square_side(const ConfigFields& fields, std::string_view key, std::int64_t fallback) {
  const std::vector<std::int64_t> sides = fields.integers(key);
  if (sides.empty()) return fallback;
  if (sides.size() > 2 || sides.front() != sides.back()) fields.unsupported(key, "one number, or two equal ones");
  if (sides.front() < 1 || sides.front() > 1 << 16) fields.refuse(key, "pixels, from 1 to 65536");
  return sides.front();
}

VisionConfig read_siglip(const ConfigFields& fields, const TowerDefaults& defaults) {
  if (const std::string type = fields.text("model_type", "siglip_vision_model");
      type != "siglip_vision_model" && type != "siglip")
    fields.unsupported("model_type", "siglip_vision_model");
  VisionConfig vision;
  vision.hidden = fields.integer("hidden_size", defaults.hidden, 1, 1 << 20);
  vision.intermediate = fields.integer("intermediate_size", defaults.intermediate, 1, 1 << 22);
  vision.layers = fields.integer("num_hidden_layers", defaults.layers, 1, 10'000);
  vision.heads = fields.integer("num_attention_heads", defaults.heads, 1, 1 << 16);
  vision.image_size = square_side(fields, "image_size", defaults.image_size);
  vision.patch_size = square_side(fields, "patch_size", defaults.patch_size);
  vision.channels = fields.integer("num_channels", 3);
  vision.norm_eps = fields.positive("layer_norm_eps", 1e-6);
  vision.activation = fields.activation("hidden_act", "gelu_pytorch_tanh");
  if (vision.channels != 3) fields.unsupported("num_channels", "3 (RGB)");
  if (vision.hidden % vision.heads)
    fields.refuse("num_attention_heads", "a divisor of hidden_size " + std::to_string(vision.hidden));
  if (vision.patch_size > vision.image_size)
    fields.refuse("patch_size", "at most image_size " + std::to_string(vision.image_size));
  return vision;
}

void refuse_scaled_rotary(const ConfigFields& fields, std::string_view key) {
  const std::optional<ConfigFields> rope = fields.object(key);
  if (!rope) return;
  const char* type_key = rope->has("rope_type") ? "rope_type" : "type";
  if (rope->text(type_key, "default") != "default") rope->unsupported(type_key, "default");
}

void refuse_sliding_window(const ConfigFields& fields, std::int64_t layers) {
  if (!fields.boolean("use_sliding_window", false) || !fields.has("sliding_window")) return;
  if (fields.integer("max_window_layers", 28, 0) < layers)
    fields.unsupported("use_sliding_window", "false: every layer attends to the whole sample");
}

TextConfig read_qwen2(const ConfigFields& fields) {
  TextConfig text;
  text.hidden = fields.integer("hidden_size", 4096, 1, 1 << 20);
  text.intermediate = fields.integer("intermediate_size", 22016, 1, 1 << 22);
  text.layers = fields.integer("num_hidden_layers", 32, 1, 10'000);
  text.heads = fields.integer("num_attention_heads", 32, 1, 1 << 16);
  // Qwen2Config: 32 when the field is absent, num_attention_heads when it is null.
  text.kv_heads =
      fields.integer("num_key_value_heads", fields.null("num_key_value_heads") ? text.heads : 32, 1, 1 << 16);
  if (!fields.has("head_dim") && text.hidden % text.heads)
    fields.refuse("num_attention_heads", "a divisor of hidden_size " + std::to_string(text.hidden));
  text.head_size = fields.integer("head_dim", text.hidden / text.heads, 1, 1 << 16);
  text.vocabulary = fields.integer("vocab_size", 151936);
  text.max_positions = fields.integer("max_position_embeddings", 32768);
  text.norm_eps = fields.positive("rms_norm_eps", 1e-6);
  text.activation = fields.activation("hidden_act", "silu");
  text.tied_head = fields.boolean("tie_word_embeddings", false);
  const std::optional<ConfigFields> rope = fields.object("rope_parameters");
  text.rope_theta = rope && rope->has("rope_theta") ? rope->positive("rope_theta", std::nullopt)
                                                    : fields.positive("rope_theta", 10000.0);
  if (text.heads % text.kv_heads)
    fields.refuse("num_key_value_heads", "a divisor of num_attention_heads " + std::to_string(text.heads));
  if (text.head_size % 2) fields.refuse("hidden_size", "an even head size, for the rotary embedding");
  refuse_scaled_rotary(fields, "rope_parameters");
  refuse_scaled_rotary(fields, "rope_scaling");
  refuse_sliding_window(fields, text.layers);
  return text;
}

/// "anyres_max_9" -> 9; "anyres" -> no limit.
std::optional<std::int64_t> read_max_tiles(const ConfigFields& fields, std::string_view key) {
  const std::string text = fields.text(key, "anyres_max_9");
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

using Pinpoints = std::vector<std::pair<std::int64_t, std::int64_t>>;

Pinpoints read_pinpoints(const ConfigFields& fields, std::int64_t tile) {
  constexpr std::string_view key = "image_grid_pinpoints";
  const json::value* found = fields.value(key);
  Pinpoints pinpoints;
  if (!found) {  // LlavaOnevisionConfig's default: 1 to 6 tiles of 384 a side
    for (std::int64_t i = 1; i <= 6; ++i)
      for (std::int64_t j = 1; j <= 6; ++j) pinpoints.emplace_back(384 * i, 384 * j);
    return pinpoints;
  }
  if (found->is_string()) return grid_of_tiles(fields, key, tile);
  const json::array* list = found->if_array();
  if (!list || list->empty() || list->size() > 10'000) fields.refuse(key, "a list of pairs of pixels");
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

framework::DType read_dtype(const ConfigFields& fields) {
  const char* key = fields.has("dtype") ? "dtype" : "torch_dtype";
  std::string name = fields.text(key, "float32");
  if (name.starts_with("torch.")) name.erase(0, 6);
  if (name != "float32" && name != "bfloat16" && name != "float16")
    fields.unsupported(key, "float32, bfloat16 or float16");
  return framework::dtype_from_name(name);
}

}  // namespace

LmmConfig read_transformers_config(const ConfigFields& fields, const std::filesystem::path&) {
  LmmConfig config;
  const ConfigFields text = fields.object("text_config").value_or(ConfigFields(kEmpty, fields.file(), "text_config."));
  if (text.text("model_type", "qwen2") != "qwen2") text.unsupported("model_type", "qwen2");
  const std::optional<ConfigFields> vision = fields.object("vision_config");
  config.text = read_qwen2(text);
  config.text.tied_head = config.text.tied_head || fields.boolean("tie_word_embeddings", false);
  config.vision = vision ? read_siglip(*vision, kSiglipBase)
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
  config.pinpoints = read_pinpoints(fields, config.vision.image_size);
  check_tiles(fields, config);
  config.max_tiles = read_max_tiles(fields, "vision_aspect_ratio");
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
  const TowerSource tower = find_tower(fields, directory);
  config.vision = read_siglip(ConfigFields(tower.fields(), tower.file, tower.path), kSiglipBase);
  if (config.vision.layers < 2)
    fields.refuse("mm_vision_tower", "a tower of at least two layers, whose last is unused");
  config.vision.layers -= 1;
  if (fields.integer("mm_hidden_size", config.vision.hidden) != config.vision.hidden)
    fields.refuse("mm_hidden_size", "the tower's hidden_size " + std::to_string(config.vision.hidden));
  config.image_token = find_image_token(directory, config.text.vocabulary);
  config.pinpoints = read_pinpoints(fields, config.vision.image_size);
  for (auto& [height, width] : config.pinpoints) std::swap(height, width);  // the file says (width, height)
  check_tiles(fields, config);
  config.max_tiles = read_max_tiles(fields, "image_aspect_ratio");
  config.eos_tokens = fields.integers("eos_token_id");
  config.stored_dtype = read_dtype(fields);
  return config;
}

}  // namespace retain::models::llava_onevision
