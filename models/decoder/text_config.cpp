// SPDX-License-Identifier: Apache-2.0
#include "models/decoder/text_config.h"

#include <string>

namespace retain::models {
namespace {

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

}  // namespace

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

}  // namespace retain::models
