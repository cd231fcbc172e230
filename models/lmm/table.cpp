// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/table.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/error.h"

namespace retain::models {

using framework::Error;
using framework::ErrorKind;
using parallel::ParameterSpec;
using parallel::Range;
using Shape = std::vector<std::int64_t>;

namespace {

Range scaled(Range range, std::int64_t factor) {
  return {range.begin * factor, range.end * factor};
}

void require_parts(const char* what, std::int64_t count, int tensor_ranks) {
  if (tensor_ranks >= 1 && tensor_ranks <= count) return;
  throw Error(ErrorKind::mesh_invalid, {std::string("the model's ") + what + " cannot be shared by the tensor ranks",
                                        "1 to " + std::to_string(count) + " tensor ranks", std::to_string(tensor_ranks),
                                        "lower [parallel] tensor"});
}

/// Appends rows that share a pipeline stage.
class Rows {
 public:
  Rows(int tensor_ranks, framework::DType dtype) : tensor_ranks_(tensor_ranks), dtype_(dtype) {}

  void on_stages(std::vector<int> stages) { stages_ = std::move(stages); }
  void whole(std::string name, Shape shape) { push(std::move(name), std::move(shape), -1, nullptr); }
  /// `share(r)`: tensor rank r's range along `dimension`.
  void cut(std::string name, Shape shape, int dimension, const std::function<Range(int)>& share) {
    push(std::move(name), std::move(shape), dimension, &share);
  }
  std::vector<ParameterSpec> take() { return std::move(rows_); }

 private:
  void push(std::string name, Shape shape, int dimension, const std::function<Range(int)>* share) {
    ParameterSpec row;
    row.name = std::move(name);
    row.shape = std::move(shape);
    row.dtype = dtype_;
    row.pipeline_stages = stages_;
    if (share) {
      row.cut_dimension = dimension;
      for (int r = 0; r < tensor_ranks_; ++r) row.cuts.push_back((*share)(r));
    }
    rows_.push_back(std::move(row));
  }

  int tensor_ranks_;
  framework::DType dtype_;
  std::vector<int> stages_;
  std::vector<ParameterSpec> rows_;
};

void add_vision_layer(Rows& rows, const VisionConfig& vision, const std::string& layer, int tensor_ranks) {
  const std::int64_t hidden = vision.hidden;
  const std::int64_t head_size = hidden / vision.heads;
  const auto heads = [=, count = vision.heads](int r) {
    return scaled(parallel::even_share(count, tensor_ranks, r), head_size);
  };
  const auto width = [=, count = vision.intermediate](int r) { return parallel::even_share(count, tensor_ranks, r); };
  rows.whole(layer + "layer_norm1.weight", {hidden});
  rows.whole(layer + "layer_norm1.bias", {hidden});
  for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
    rows.cut(layer + "self_attn." + name + ".weight", {hidden, hidden}, 0, heads);
    rows.cut(layer + "self_attn." + name + ".bias", {hidden}, 0, heads);
  }
  rows.cut(layer + "self_attn.out_proj.weight", {hidden, hidden}, 1, heads);
  rows.whole(layer + "self_attn.out_proj.bias", {hidden});
  rows.whole(layer + "layer_norm2.weight", {hidden});
  rows.whole(layer + "layer_norm2.bias", {hidden});
  rows.cut(layer + "mlp.fc1.weight", {vision.intermediate, hidden}, 0, width);
  rows.cut(layer + "mlp.fc1.bias", {vision.intermediate}, 0, width);
  rows.cut(layer + "mlp.fc2.weight", {hidden, vision.intermediate}, 1, width);
  rows.whole(layer + "mlp.fc2.bias", {hidden});
}

void add_vision(Rows& rows, const VisionConfig& vision, int tensor_ranks) {
  rows.whole("vision.embeddings.patch_embedding.weight",
             {vision.hidden, vision.channels, vision.patch_size, vision.patch_size});
  rows.whole("vision.embeddings.patch_embedding.bias", {vision.hidden});
  rows.whole("vision.embeddings.position_embedding.weight", {vision.patches(), vision.hidden});
  for (std::int64_t i = 0; i < vision.layers; ++i)
    add_vision_layer(rows, vision, "vision.encoder.layers." + std::to_string(i) + ".", tensor_ranks);
  if (!vision.has_post_norm) return;
  rows.whole("vision.post_layernorm.weight", {vision.hidden});
  rows.whole("vision.post_layernorm.bias", {vision.hidden});
}

void add_projector(Rows& rows, const LmmConfig& config) {
  const std::int64_t hidden = config.text.hidden;
  const std::pair<std::string, std::int64_t> linears[] = {{"projector.linear_1.", config.vision.hidden},
                                                          {"projector.linear_2.", hidden}};
  for (const auto& [name, inputs] : linears) {
    rows.whole(name + "weight", {hidden, inputs});
    if (config.projector_bias) rows.whole(name + "bias", {hidden});
  }
  if (config.image_newline) rows.whole("image_newline", {hidden});
}

void add_decoder_layer(Rows& rows, const TextConfig& text, const std::string& layer, int tensor_ranks) {
  const std::int64_t hidden = text.hidden, size = text.head_size;
  const auto query = [&](int r) { return scaled(head_share(text, tensor_ranks, r).query, size); };
  const auto key_value = [&](int r) { return scaled(head_share(text, tensor_ranks, r).key_value, size); };
  const auto width = [&](int r) { return parallel::even_share(text.intermediate, tensor_ranks, r); };
  const auto projection = [&](const char* name, std::int64_t heads, const std::function<Range(int)>& share) {
    rows.cut(layer + "self_attn." + name + ".weight", {heads * size, hidden}, 0, share);
    if (text.qkv_bias) rows.cut(layer + "self_attn." + name + ".bias", {heads * size}, 0, share);
  };
  rows.whole(layer + "input_layernorm.weight", {hidden});
  projection("q_proj", text.heads, query);
  projection("k_proj", text.kv_heads, key_value);
  projection("v_proj", text.kv_heads, key_value);
  rows.cut(layer + "self_attn.o_proj.weight", {hidden, text.heads * size}, 1, query);
  rows.whole(layer + "post_attention_layernorm.weight", {hidden});
  rows.cut(layer + "mlp.gate_proj.weight", {text.intermediate, hidden}, 0, width);
  rows.cut(layer + "mlp.up_proj.weight", {text.intermediate, hidden}, 0, width);
  rows.cut(layer + "mlp.down_proj.weight", {hidden, text.intermediate}, 1, width);
}

}  // namespace

HeadShare head_share(const TextConfig& text, int tensor_ranks, int tensor_rank) {
  require_parts("query heads", text.heads, tensor_ranks);
  const std::int64_t group = text.heads / text.kv_heads;
  const Range query = parallel::even_share(text.heads, tensor_ranks, tensor_rank);
  return {query, {query.begin / group, (query.end + group - 1) / group}};
}

parallel::ParameterTable build_table(const LmmConfig& config, int tensor_ranks,
                                     const parallel::PipelinePartition& partition, framework::DType training_dtype) {
  const TextConfig& text = config.text;
  require_parts("query heads", text.heads, tensor_ranks);
  require_parts("MLP columns", text.intermediate, tensor_ranks);
  require_parts("vocabulary rows", text.vocabulary, tensor_ranks);
  const int last = partition.stages() - 1;
  const auto vocabulary = [&](int r) { return parallel::even_share(text.vocabulary, tensor_ranks, r); };

  Rows rows(tensor_ranks, training_dtype);
  rows.on_stages({0});
  add_vision(rows, config.vision, tensor_ranks);
  add_projector(rows, config);
  if (text.tied_head && last > 0) rows.on_stages({0, last});
  rows.cut("language.embed_tokens.weight", {text.vocabulary, text.hidden}, 0, vocabulary);
  for (std::int64_t i = 0; i < text.layers; ++i) {
    rows.on_stages({partition.stage_of_layer(i)});
    add_decoder_layer(rows, text, "language.layers." + std::to_string(i) + ".", tensor_ranks);
  }
  rows.on_stages({last});
  rows.whole("language.norm.weight", {text.hidden});
  if (!text.tied_head) rows.cut("language.lm_head.weight", {text.vocabulary, text.hidden}, 0, vocabulary);
  return parallel::ParameterTable(rows.take());
}

ForwardCost forward_cost(const LmmConfig& config, const Workload& workload) {
  // A product [m,k]·[k,n] is 2mkn; attention over T positions of width d adds 4·T²·d, half of it when causal.
  const auto tiles = static_cast<double>(workload.tiles);
  const auto patches = static_cast<double>(config.vision.patches());
  const auto vision_hidden = static_cast<double>(config.vision.hidden);
  const auto vision_width = static_cast<double>(config.vision.intermediate);
  const auto pixels = static_cast<double>(config.vision.channels * config.vision.patch_size * config.vision.patch_size);
  const auto hidden = static_cast<double>(config.text.hidden);
  const auto query = static_cast<double>(config.text.heads * config.text.head_size);
  const auto key_value = static_cast<double>(config.text.kv_heads * config.text.head_size);
  const auto width = static_cast<double>(config.text.intermediate);
  const double tokens = tiles * patches + static_cast<double>(workload.text_tokens);

  const double tower_layer = 2 * patches * (4 * vision_hidden * vision_hidden + 2 * vision_hidden * vision_width) +
                             4 * patches * patches * vision_hidden;
  const double projector = 2 * patches * (vision_hidden * hidden + hidden * hidden);
  ForwardCost cost;
  cost.vision = tiles * (2 * patches * pixels * vision_hidden +
                         static_cast<double>(config.vision.layers) * tower_layer + projector);
  cost.decoder_layer = 2 * tokens * hidden * (2 * query + 2 * key_value + 3 * width) + 2 * tokens * tokens * query;
  cost.head = 2 * static_cast<double>(workload.answers) * hidden * static_cast<double>(config.text.vocabulary);
  return cost;
}

parallel::PipelinePartition partition_for(const LmmConfig& config, int pipeline_stages, const Workload& workload) {
  const ForwardCost cost = forward_cost(config, workload);
  const std::vector<double> layers(static_cast<std::size_t>(config.text.layers), cost.decoder_layer);
  return parallel::balance(pipeline_stages, layers, cost.vision, cost.head);
}

}  // namespace retain::models
