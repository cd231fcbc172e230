// SPDX-License-Identifier: Apache-2.0
#include "models/llava/table.h"

namespace retain::models::llava {
namespace {

void add_tower_layer(ParameterRows& rows, const VisionConfig& vision, const std::string& layer) {
  const std::int64_t hidden = vision.hidden, width = vision.intermediate, head_size = hidden / vision.heads;
  rows.whole(layer + "layer_norm1.weight", {hidden});
  rows.whole(layer + "layer_norm1.bias", {hidden});
  for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
    rows.cut_evenly(layer + "self_attn." + name + ".weight", {hidden, hidden}, 0, vision.heads, head_size);
    rows.cut_evenly(layer + "self_attn." + name + ".bias", {hidden}, 0, vision.heads, head_size);
  }
  rows.cut_evenly(layer + "self_attn.out_proj.weight", {hidden, hidden}, 1, vision.heads, head_size);
  rows.whole(layer + "self_attn.out_proj.bias", {hidden});
  rows.whole(layer + "layer_norm2.weight", {hidden});
  rows.whole(layer + "layer_norm2.bias", {hidden});
  rows.cut_evenly(layer + "mlp.fc1.weight", {width, hidden}, 0, width);
  rows.cut_evenly(layer + "mlp.fc1.bias", {width}, 0, width);
  rows.cut_evenly(layer + "mlp.fc2.weight", {hidden, width}, 1, width);
  rows.whole(layer + "mlp.fc2.bias", {hidden});
}

void add_tower(ParameterRows& rows, const VisionConfig& vision) {
  const std::vector<std::int64_t> vector{vision.hidden};
  if (vision.class_token) rows.whole("vision.embeddings.class_embedding", vector);
  rows.whole("vision.embeddings.patch_embedding.weight",
             {vision.hidden, vision.channels, vision.patch_size, vision.patch_size});
  if (vision.patch_bias) rows.whole("vision.embeddings.patch_embedding.bias", vector);
  rows.whole("vision.embeddings.position_embedding.weight",
             {vision.patches() + (vision.class_token ? 1 : 0), vision.hidden});
  if (vision.pre_norm) {
    rows.whole("vision.pre_layrnorm.weight", vector);
    rows.whole("vision.pre_layrnorm.bias", vector);
  }
  for (std::int64_t i = 0; i < vision.layers; ++i)
    add_tower_layer(rows, vision, "vision.encoder.layers." + std::to_string(i) + ".");
  if (!vision.has_post_norm) return;
  rows.whole("vision.post_layernorm.weight", vector);
  rows.whole("vision.post_layernorm.bias", vector);
}

}  // namespace

void add_vision_rows(ParameterRows& rows, const LmmConfig& config) {
  add_tower(rows, config.vision);
  const std::int64_t hidden = config.text.hidden;
  const std::pair<std::string, std::int64_t> linears[] = {{"projector.linear_1.", config.vision.hidden},
                                                          {"projector.linear_2.", hidden}};
  for (const auto& [name, inputs] : linears) {
    rows.whole(name + "weight", {hidden, inputs});
    if (config.projector_bias) rows.whole(name + "bias", {hidden});
  }
  if (config.image_newline) rows.whole("image_newline", {hidden});
}

double vision_cost(const LmmConfig& config, const Workload& workload) {
  // A product [m,k]·[k,n] is 2mkn; attention over P positions of width d adds 4·P²·d.
  const VisionConfig& vision = config.vision;
  const auto patches = static_cast<double>(vision.patches());
  const double rows = patches + (vision.class_token ? 1 : 0);
  const auto hidden = static_cast<double>(vision.hidden), width = static_cast<double>(vision.intermediate);
  const auto pixels = static_cast<double>(vision.channels * vision.patch_size * vision.patch_size);
  const auto text = static_cast<double>(config.text.hidden);
  const double layer = 2 * rows * (4 * hidden * hidden + 2 * hidden * width) + 4 * rows * rows * hidden;
  const double projector = 2 * patches * (hidden * text + text * text);
  return static_cast<double>(workload.tiles) *
         (2 * patches * pixels * hidden + static_cast<double>(vision.computed_layers()) * layer + projector);
}

}  // namespace retain::models::llava
