// SPDX-License-Identifier: Apache-2.0
#include "models/llava_onevision/hub_files.h"

#include <string_view>

#include "framework/base/error.h"
#include "framework/base/json.h"

namespace retain::models::llava_onevision {

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

json::array pinpoints_of(const LmmConfig& config) {
  json::array pinpoints;
  for (const auto& [height, width] : config.pinpoints) pinpoints.push_back(json::array{height, width});
  return pinpoints;
}

json::object text_of(const LmmConfig& config) {
  const TextConfig& text = config.text;
  json::object fields{{"model_type", "qwen2"},
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
                      {"use_sliding_window", false},
                      {"eos_token_id", end_tokens(config)}};
  if (text.head_size * text.heads != text.hidden) fields["head_dim"] = text.head_size;
  return fields;
}

json::object vision_of(const VisionConfig& vision) {
  return {{"model_type", "siglip_vision_model"},
          {"hidden_size", vision.hidden},
          {"intermediate_size", vision.intermediate},
          {"num_hidden_layers", vision.layers},
          {"num_attention_heads", vision.heads},
          {"image_size", vision.image_size},
          {"patch_size", vision.patch_size},
          {"num_channels", vision.channels},
          {"layer_norm_eps", vision.norm_eps},
          {"hidden_act", name_of(vision.activation)},
          {"vision_use_head", false}};
}

json::object config_of(const LmmConfig& config) {
  return {{"architectures", json::array{"LlavaOnevisionForConditionalGeneration"}},
          {"model_type", "llava_onevision"},
          {"image_token_index", config.image_token},
          {"image_grid_pinpoints", pinpoints_of(config)},
          {"multimodal_projector_bias", config.projector_bias},
          {"projector_hidden_act", name_of(config.projector_activation)},
          {"vision_aspect_ratio", config.max_tiles ? "anyres_max_" + std::to_string(*config.max_tiles) : "anyres"},
          {"vision_feature_layer", -1},
          {"vision_feature_select_strategy", "full"},
          {"tie_word_embeddings", config.text.tied_head},
          {"torch_dtype", framework::name_of(config.stored_dtype)},
          {"text_config", text_of(config)},
          {"vision_config", vision_of(config.vision)}};
}

json::object processor_of(const LmmConfig& config) {
  const json::array half{0.5, 0.5, 0.5};  // SigLIP's mean and deviation
  return {{"image_processor_type", "LlavaOnevisionImageProcessor"},
          {"size", json::object{{"height", config.vision.image_size}, {"width", config.vision.image_size}}},
          {"image_grid_pinpoints", pinpoints_of(config)},
          {"resample", 3},
          {"do_resize", true},
          {"do_rescale", true},
          {"do_normalize", true},
          {"do_convert_rgb", true},
          {"rescale_factor", 1.0 / 255},
          {"image_mean", half},
          {"image_std", half}};
}

}  // namespace

std::map<std::string, std::string> hub_files(const LmmConfig& config) {
  return {{"config.json", framework::pretty(config_of(config))},
          {"preprocessor_config.json", framework::pretty(processor_of(config))}};
}

}  // namespace retain::models::llava_onevision
