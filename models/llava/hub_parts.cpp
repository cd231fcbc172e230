// SPDX-License-Identifier: Apache-2.0
#include "models/llava/hub_parts.h"

#include <string_view>

#include "framework/base/error.h"
#include "framework/image/processor.h"

namespace retain::models::llava {

namespace json = framework::json;

namespace {

std::string_view name_of(Activation activation) {
  switch (activation) {
    case Activation::silu:
      return "silu";
    case Activation::gelu_tanh:
      return "gelu_pytorch_tanh";
    case Activation::gelu_erf:
      return "gelu";
    case Activation::quick_gelu:
      return "quick_gelu";
  }
  throw framework::Error(framework::ErrorKind::internal, "an activation outside its enumeration");
}

json::value end_tokens(const LmmConfig& config) {
  if (config.eos_tokens.empty()) return nullptr;
  if (config.eos_tokens.size() == 1) return config.eos_tokens.front();
  return json::array(config.eos_tokens.begin(), config.eos_tokens.end());
}

/// The entry of transformers' hidden_states that is the feature, counted from the end.
std::int64_t feature_layer(const VisionConfig& vision) {
  return -1 - vision.unused_layers;
}

json::object rotary_scaling_of(const RopeScaling& scaling) {
  if (scaling.kind == RopeScaling::Kind::linear) return {{"rope_type", "linear"}, {"factor", scaling.factor}};
  return {{"rope_type", "llama3"},
          {"factor", scaling.factor},
          {"low_freq_factor", scaling.low_freq_factor},
          {"high_freq_factor", scaling.high_freq_factor},
          {"original_max_position_embeddings", static_cast<std::int64_t>(scaling.original_positions)}};
}

json::object text_of(const LmmConfig& config) {
  const TextConfig& text = config.text;
  json::object fields{{"model_type", text.kind},
                      {"hidden_size", text.hidden},
                      {"intermediate_size", text.intermediate},
                      {"num_hidden_layers", text.layers},
                      {"num_attention_heads", text.heads},
                      {"num_key_value_heads", text.kv_heads},
                      {"vocab_size", text.vocabulary},
                      {"max_position_embeddings", text.max_positions},
                      {"rms_norm_eps", text.norm_eps},
                      {"rope_theta", text.rope_theta},
                      {"hidden_act", name_of(text.activation)},
                      {"tie_word_embeddings", text.tied_head},
                      {"eos_token_id", end_tokens(config)}};
  if (text.kind == "qwen2") fields["use_sliding_window"] = false;
  if (text.kind == "mistral") fields["sliding_window"] = nullptr;
  if (text.rope_scaling) fields["rope_scaling"] = rotary_scaling_of(*text.rope_scaling);
  if (text.head_size * text.heads != text.hidden) fields["head_dim"] = text.head_size;
  return fields;
}

json::object vision_of(const VisionConfig& vision) {
  json::object fields{{"model_type", vision.kind + "_vision_model"},
                      {"hidden_size", vision.hidden},
                      {"intermediate_size", vision.intermediate},
                      {"num_hidden_layers", vision.layers},
                      {"num_attention_heads", vision.heads},
                      {"image_size", vision.image_size},
                      {"patch_size", vision.patch_size},
                      {"num_channels", vision.channels},
                      {"layer_norm_eps", vision.norm_eps},
                      {"hidden_act", name_of(vision.activation)}};
  if (vision.kind == "siglip") fields["vision_use_head"] = false;
  return fields;
}

}  // namespace

json::array pinpoints_of(const LmmConfig& config) {
  json::array pinpoints;
  for (const auto& [height, width] : config.pinpoints) pinpoints.push_back(json::array{height, width});
  return pinpoints;
}

json::object config_of(const LmmConfig& config, const char* architecture, const char* model_type) {
  return {{"architectures", json::array{architecture}},
          {"model_type", model_type},
          {"image_token_index", config.image_token},
          {"multimodal_projector_bias", config.projector_bias},
          {"projector_hidden_act", name_of(config.projector_activation)},
          {"vision_feature_layer", feature_layer(config.vision)},
          {"vision_feature_select_strategy", config.vision.class_token ? "default" : "full"},
          {"tie_word_embeddings", config.text.tied_head},
          {"torch_dtype", framework::name_of(config.stored_dtype)},
          {"text_config", text_of(config)},
          {"vision_config", vision_of(config.vision)}};
}

json::object processor_of(const LmmConfig& config, const char* processor) {
  const bool clip = config.vision.kind == "clip";
  const framework::ProcessorSettings settings = framework::settings_for({config.vision.image_size, {}, clip});
  const json::array mean(settings.mean.begin(), settings.mean.end()), std(settings.std.begin(), settings.std.end());
  return {{"image_processor_type", processor},
          {"size", json::object{{"height", config.vision.image_size}, {"width", config.vision.image_size}}},
          {"resample", 3},
          {"do_resize", true},
          {"do_rescale", true},
          {"do_normalize", true},
          {"do_convert_rgb", true},
          {"rescale_factor", 1.0 / 255},
          {"image_mean", mean},
          {"image_std", std}};
}

}  // namespace retain::models::llava
