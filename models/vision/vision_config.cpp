// SPDX-License-Identifier: Apache-2.0
#include "models/vision/vision_config.h"

#include <string>
#include <vector>

namespace retain::models {
namespace {

std::int64_t square_side(const ConfigFields& fields, std::string_view key, std::int64_t fallback) {
  const std::vector<std::int64_t> sides = fields.integers(key);
  if (sides.empty()) return fallback;
  if (sides.size() > 2 || sides.front() != sides.back()) fields.unsupported(key, "one number, or two equal ones");
  if (sides.front() < 1 || sides.front() > 1 << 16) fields.refuse(key, "pixels, from 1 to 65536");
  return sides.front();
}

/// The fields that all towers share.
VisionConfig read_tower(const ConfigFields& fields, const TowerDefaults& defaults, double norm_eps,
                        const char* activation) {
  VisionConfig vision;
  vision.hidden = fields.integer("hidden_size", defaults.hidden, 1, 1 << 20);
  vision.intermediate = fields.integer("intermediate_size", defaults.intermediate, 1, 1 << 22);
  vision.layers = fields.integer("num_hidden_layers", defaults.layers, 1, 10'000);
  vision.heads = fields.integer("num_attention_heads", defaults.heads, 1, 1 << 16);
  vision.image_size = square_side(fields, "image_size", defaults.image_size);
  vision.patch_size = square_side(fields, "patch_size", defaults.patch_size);
  vision.channels = fields.integer("num_channels", 3);
  vision.norm_eps = fields.positive("layer_norm_eps", norm_eps);
  vision.activation = fields.activation("hidden_act", activation);
  if (vision.channels != 3) fields.unsupported("num_channels", "3 (RGB)");
  if (vision.hidden % vision.heads)
    fields.refuse("num_attention_heads", "a divisor of hidden_size " + std::to_string(vision.hidden));
  if (vision.patch_size > vision.image_size)
    fields.refuse("patch_size", "at most image_size " + std::to_string(vision.image_size));
  return vision;
}

/// `model_type` is that of a tower ("clip_vision_model"), or of the pair of image and text model that it is part of.
void require_type(const ConfigFields& fields, const std::string& kind) {
  const std::string tower = kind + "_vision_model";
  if (const std::string type = fields.text("model_type", tower); type != tower && type != kind)
    fields.unsupported("model_type", tower);
}

}  // namespace

VisionConfig read_siglip(const ConfigFields& fields, const TowerDefaults& defaults) {
  require_type(fields, "siglip");
  VisionConfig vision = read_tower(fields, defaults, 1e-6, "gelu_pytorch_tanh");
  vision.kind = "siglip";
  return vision;
}

VisionConfig read_clip(const ConfigFields& fields, const TowerDefaults& defaults) {
  require_type(fields, "clip");
  VisionConfig vision = read_tower(fields, defaults, 1e-5, "quick_gelu");
  vision.kind = "clip";
  vision.class_token = true;
  vision.pre_norm = true;
  vision.patch_bias = false;
  return vision;
}

std::int64_t layers_above_feature(const ConfigFields& fields, std::string_view key, const VisionConfig& vision,
                                  std::int64_t fallback) {
  const std::vector<std::int64_t> list = fields.integers(key);
  if (list.size() > 1) fields.unsupported(key, "the number of one layer");
  // hidden_states holds what enters the first layer and what each layer gives: layers + 1 entries.
  const std::int64_t entry = list.empty() ? fallback : list.front();
  const std::int64_t computed = entry < 0 ? vision.layers + 1 + entry : entry;
  if (computed < 0 || computed > vision.layers)
    fields.refuse(key, "one of the tower's " + std::to_string(vision.layers + 1) + " hidden states");
  return vision.layers - computed;
}

}  // namespace retain::models
