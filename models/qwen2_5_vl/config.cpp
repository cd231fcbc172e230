// SPDX-License-Identifier: Apache-2.0
#include "models/qwen2_5_vl/config.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "framework/base/json.h"

namespace retain::models::qwen2_5_vl {
namespace {

const framework::json::object kEmpty;

/// The object at `key`; one without fields where it is absent.
ConfigFields section(const ConfigFields& fields, const char* key) {
  return fields.object(key).value_or(ConfigFields(kEmpty, fields.file(), std::string(key) + "."));
}

/// One number, or several equal ones.
std::int64_t side(const ConfigFields& fields, const char* key, std::int64_t fallback, std::int64_t most) {
  const std::vector<std::int64_t> sides = fields.integers(key);
  if (sides.empty()) return fallback;
  if (std::any_of(sides.begin(), sides.end(), [&](std::int64_t other) { return other != sides.front(); }))
    fields.unsupported(key, "one number, or equal ones");
  if (sides.front() < 1 || sides.front() > most) fields.refuse(key, "a number from 1 to " + std::to_string(most));
  return sides.front();
}

void read_rotary(const ConfigFields& fields, TextConfig& text) {
  // transformers lets rope_scaling stand for rope_parameters.
  const char* key = fields.has("rope_scaling") ? "rope_scaling" : "rope_parameters";
  const ConfigFields rope = section(fields, key);
  const std::string type = rope.text(rope.has("rope_type") ? "rope_type" : "type", "default");
  if (type != "default" && type != "mrope")
    rope.unsupported(rope.has("rope_type") ? "rope_type" : "type", "default or mrope");
  text.rope_theta =
      rope.has("rope_theta") ? rope.positive("rope_theta", std::nullopt) : fields.positive("rope_theta", 1e6);
  text.rope_sections = rope.integers("mrope_section");
  if (text.rope_sections.empty()) text.rope_sections = {16, 24, 24};
  const bool counts = std::all_of(text.rope_sections.begin(), text.rope_sections.end(),
                                  [](std::int64_t section) { return section >= 0 && section < 1 << 16; });
  if (!counts || text.rope_sections.size() != 3 ||
      std::accumulate(text.rope_sections.begin(), text.rope_sections.end(), std::int64_t{0}) != text.head_size / 2)
    rope.refuse("mrope_section", "three counts of frequencies (time, height, width) that add up to half a head, " +
                                     std::to_string(text.head_size / 2));
}

TextConfig read_text(const ConfigFields& fields) {
  TextConfig text;
  text.hidden = fields.integer("hidden_size", 8192, 1, 1 << 20);
  text.intermediate = fields.integer("intermediate_size", 29568, 1, 1 << 22);
  text.layers = fields.integer("num_hidden_layers", 80, 1, 10'000);
  text.heads = fields.integer("num_attention_heads", 64, 1, 1 << 16);
  text.kv_heads =
      fields.integer("num_key_value_heads", fields.null("num_key_value_heads") ? text.heads : 8, 1, 1 << 16);
  if (!fields.has("head_dim") && text.hidden % text.heads)
    fields.refuse("num_attention_heads", "a divisor of hidden_size " + std::to_string(text.hidden));
  text.head_size = fields.integer("head_dim", text.hidden / text.heads, 1, 1 << 16);
  if (text.heads % text.kv_heads)
    fields.refuse("num_key_value_heads", "a divisor of num_attention_heads " + std::to_string(text.heads));
  if (text.head_size % 2) fields.refuse("hidden_size", "an even head size, for the rotary embedding");
  text.vocabulary = fields.integer("vocab_size", 152064);
  text.max_positions = fields.integer("max_position_embeddings", 32768);
  text.norm_eps = fields.positive("rms_norm_eps", 1e-5);
  text.activation = fields.activation("hidden_act", "silu");
  if (text.activation != Activation::silu) fields.unsupported("hidden_act", "silu");
  if (fields.boolean("use_sliding_window", false) && fields.has("sliding_window") &&
      fields.integer("max_window_layers", 80, 0) < text.layers)
    fields.unsupported("use_sliding_window", "false: every layer attends to the whole sample");
  read_rotary(fields, text);
  return text;
}

VisionConfig read_vision(const ConfigFields& fields, std::int64_t text_hidden) {
  VisionConfig vision;
  vision.kind = "qwen2_5_vl";
  vision.hidden = fields.integer("hidden_size", 3584, 1, 1 << 20);
  vision.intermediate = fields.integer("intermediate_size", 3420, 1, 1 << 22);
  vision.layers = fields.integer("depth", 32, 1, 10'000);
  vision.heads = fields.integer("num_heads", 16, 1, 1 << 16);
  vision.patch_size = side(fields, "patch_size", 14, 1 << 10);
  vision.activation = fields.activation("hidden_act", "silu");
  vision.has_post_norm = false;
  if (vision.activation != Activation::silu) fields.unsupported("hidden_act", "silu");
  if (fields.integer("in_channels", 3) != 3) fields.unsupported("in_channels", "3 (RGB)");
  if (vision.hidden % vision.heads || vision.hidden / vision.heads % 4)
    fields.refuse("num_heads",
                  "a divisor of hidden_size " + std::to_string(vision.hidden) +
                      " that leaves heads of a multiple of 4, for the rotary embedding over rows and columns");
  if (fields.integer("out_hidden_size", 3584) != text_hidden)
    fields.refuse("out_hidden_size", "the decoder's hidden_size " + std::to_string(text_hidden));

  WindowedVision windowed;
  windowed.frames = side(fields, "temporal_patch_size", 2, 64);
  windowed.merge = fields.integer("spatial_merge_size", 2, 1, 8);
  windowed.window = fields.integer("window_size", 112);
  windowed.tokens_per_second = fields.positive("tokens_per_second", 4);
  windowed.full_layers = fields.integers("fullatt_block_indexes");
  if (!fields.has("fullatt_block_indexes")) windowed.full_layers = {7, 15, 23, 31};
  if (windowed.window_tokens(vision.patch_size) < 1)
    fields.refuse("window_size",
                  "at least one visual token, " + std::to_string(windowed.merge * vision.patch_size) + " pixels");
  const ConfigFields rope = section(fields, "rope_parameters");
  if (rope.text("rope_type", "axial") != "axial") rope.unsupported("rope_type", "axial");
  windowed.rope_theta = rope.positive("rope_theta", 10000.0);
  vision.image_size = 16 * windowed.merge * vision.patch_size;
  vision.windowed = std::move(windowed);
  return vision;
}

std::int64_t token(const ConfigFields& fields, const char* key, std::int64_t fallback, std::int64_t vocabulary) {
  const std::int64_t id = fields.integer(key, fallback, 0);
  if (id >= vocabulary) fields.refuse(key, "below vocab_size " + std::to_string(vocabulary), std::to_string(id));
  return id;
}

}  // namespace

LmmConfig read_config(const ConfigFields& fields, const std::filesystem::path&) {
  LmmConfig config;
  const ConfigFields text = fields.object("text_config").value_or(fields);
  config.text = read_text(text);
  config.text.tied_head = fields.boolean("tie_word_embeddings", false) || text.boolean("tie_word_embeddings", false);
  config.vision = read_vision(section(fields, "vision_config"), config.text.hidden);
  config.image_newline = false;
  config.image_token = token(fields, "image_token_id", 151655, config.text.vocabulary);
  config.video_token = token(fields, "video_token_id", 151656, config.text.vocabulary);
  config.eos_tokens = fields.integers("eos_token_id");
  if (config.eos_tokens.empty()) config.eos_tokens = text.integers("eos_token_id");
  config.stored_dtype = (fields.has("dtype") || fields.has("torch_dtype") ? fields : text).dtype();
  return config;
}

}  // namespace retain::models::qwen2_5_vl
