// SPDX-License-Identifier: Apache-2.0
#include "models/decoder/text_config.h"

#include <algorithm>
#include <array>
#include <string>

#include "framework/base/error.h"

namespace retain::models {
namespace {

/// What a configuration class of transformers fills absent fields with.
struct DecoderDefaults {
  std::string_view kind;
  std::int64_t intermediate, kv_heads, vocabulary, max_positions;  ///< kv_heads 0: as many as heads
  bool qkv_bias;
};
constexpr std::array<DecoderDefaults, 3> kDecoders{{
    {"qwen2", 22016, 32, 151936, 32768, true},
    {"llama", 11008, 0, 32000, 2048, false},
    {"mistral", 14336, 8, 32000, 131072, false},
}};

const DecoderDefaults& defaults_of(std::string_view kind) {
  for (const DecoderDefaults& decoder : kDecoders)
    if (decoder.kind == kind) return decoder;
  throw framework::Error(framework::ErrorKind::internal, "there is no decoder of kind " + std::string(kind));
}

/// Where rotary settings stand: `rope_scaling` (transformers 4) if it says anything, else `rope_parameters` (5).
std::optional<ConfigFields> find_rotary(const ConfigFields& fields) {
  const std::optional<ConfigFields> scaling = fields.object("rope_scaling");
  return scaling && (scaling->has("rope_type") || scaling->has("type")) ? scaling : fields.object("rope_parameters");
}

RopeScaling read_llama3(const ConfigFields& rope, std::int64_t max_positions) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::llama3;
  scaling.factor = rope.positive("factor", std::nullopt);
  scaling.low_freq_factor = rope.positive("low_freq_factor", std::nullopt);
  scaling.high_freq_factor = rope.positive("high_freq_factor", std::nullopt);
  scaling.original_positions = static_cast<double>(rope.integer("original_max_position_embeddings", max_positions));
  if (scaling.high_freq_factor <= scaling.low_freq_factor)
    rope.refuse("high_freq_factor", "more than low_freq_factor " + std::to_string(scaling.low_freq_factor));
  return scaling;
}

void read_rotary(const ConfigFields& fields, TextConfig& text) {
  text.rope_theta = fields.positive("rope_theta", 10000.0);
  const std::optional<ConfigFields> rope = find_rotary(fields);
  if (!rope) return;
  text.rope_theta = rope->positive("rope_theta", text.rope_theta);
  if (rope->positive("partial_rotary_factor", 1.0) != 1.0) rope->unsupported("partial_rotary_factor", "1");
  const char* key = rope->has("rope_type") ? "rope_type" : "type";
  const std::string type = rope->text(key, "default");
  if (type == "llama3") {
    text.rope_scaling = read_llama3(*rope, text.max_positions);
  } else if (type == "linear") {
    text.rope_scaling =
        RopeScaling{.kind = RopeScaling::Kind::linear, .factor = rope->positive("factor", std::nullopt)};
  } else if (type != "default") {
    rope->unsupported(key, "default, linear or llama3");
  }
}

void refuse_sliding_window(const ConfigFields& fields, const TextConfig& text) {
  constexpr const char* whole = "every layer attends to the whole sample";
  if (text.kind == "qwen2") {
    if (!fields.boolean("use_sliding_window", false) || !fields.has("sliding_window")) return;
    if (fields.integer("max_window_layers", 28, 0) < text.layers)
      fields.unsupported("use_sliding_window", std::string("false: ") + whole);
  }
  if (text.kind != "mistral" || fields.null("sliding_window")) return;
  if (fields.integer("sliding_window", 4096) < text.max_positions)
    fields.unsupported("sliding_window", std::string("null: ") + whole);
}

void refuse_biases(const ConfigFields& fields) {
  for (const char* key : {"attention_bias", "mlp_bias"})
    if (fields.boolean(key, false)) fields.unsupported(key, "false");
}

}  // namespace

TextConfig read_decoder(const ConfigFields& fields, std::string_view kind) {
  const DecoderDefaults& defaults = defaults_of(kind);
  TextConfig text;
  text.kind = kind;
  text.qkv_bias = defaults.qkv_bias;
  text.hidden = fields.integer("hidden_size", 4096, 1, 1 << 20);
  text.intermediate = fields.integer("intermediate_size", defaults.intermediate, 1, 1 << 22);
  text.layers = fields.integer("num_hidden_layers", 32, 1, 10'000);
  text.heads = fields.integer("num_attention_heads", 32, 1, 1 << 16);
  // A null means as many as heads in every class, an absent field the class's own number.
  const bool as_heads = fields.null("num_key_value_heads") || defaults.kv_heads == 0;
  text.kv_heads = fields.integer("num_key_value_heads", as_heads ? text.heads : defaults.kv_heads, 1, 1 << 16);
  if (!fields.has("head_dim") && text.hidden % text.heads)
    fields.refuse("num_attention_heads", "a divisor of hidden_size " + std::to_string(text.hidden));
  text.head_size = fields.integer("head_dim", text.hidden / text.heads, 1, 1 << 16);
  text.vocabulary = fields.integer("vocab_size", defaults.vocabulary);
  text.max_positions = fields.integer("max_position_embeddings", defaults.max_positions);
  text.norm_eps = fields.positive("rms_norm_eps", 1e-6);
  text.activation = fields.activation("hidden_act", "silu");
  text.tied_head = fields.boolean("tie_word_embeddings", false);
  read_rotary(fields, text);
  if (text.heads % text.kv_heads)
    fields.refuse("num_key_value_heads", "a divisor of num_attention_heads " + std::to_string(text.heads));
  if (text.head_size % 2) fields.refuse("hidden_size", "an even head size, for the rotary embedding");
  refuse_sliding_window(fields, text);
  if (kind == "llama") refuse_biases(fields);
  return text;
}

std::vector<std::int64_t> read_end_tokens(const ConfigFields& fields, std::string_view kind) {
  constexpr std::int64_t llama = 2;  // LlamaConfig() and MistralConfig(); Qwen2Config() has none
  std::vector<std::int64_t> ends = fields.integers("eos_token_id");
  if (ends.empty() && kind != "qwen2" && !fields.null("eos_token_id")) ends = {llama};
  return ends;
}

TextConfig read_text_config(const ConfigFields& fields, std::span<const std::string_view> allowed,
                            std::string_view fallback) {
  const std::string kind = fields.text("model_type", std::string(fallback));
  if (std::find(allowed.begin(), allowed.end(), kind) != allowed.end()) return read_decoder(fields, kind);
  std::string names;
  for (const std::string_view name : allowed) names += (names.empty() ? "" : " or ") + std::string(name);
  fields.unsupported("model_type", names);
}

}  // namespace retain::models
