// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/table.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/error.h"
#include "models/lmm/family.h"

namespace retain::models {

using framework::Error;
using framework::ErrorKind;
using parallel::Range;

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

void add_decoder_layer(ParameterRows& rows, const TextConfig& text, const std::string& layer) {
  const int tensor_ranks = rows.tensor_ranks();
  const std::int64_t hidden = text.hidden, size = text.head_size;
  const auto query = [&](int r) { return scaled(head_share(text, tensor_ranks, r).query, size); };
  const auto key_value = [&](int r) { return scaled(head_share(text, tensor_ranks, r).key_value, size); };
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
  rows.cut_evenly(layer + "mlp.gate_proj.weight", {text.intermediate, hidden}, 0, text.intermediate);
  rows.cut_evenly(layer + "mlp.up_proj.weight", {text.intermediate, hidden}, 0, text.intermediate);
  rows.cut_evenly(layer + "mlp.down_proj.weight", {hidden, text.intermediate}, 1, text.intermediate);
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

  ParameterRows rows(tensor_ranks, training_dtype);
  rows.on_stages({0});
  family_of(config).add_vision_rows(rows, config);
  if (text.tied_head && last > 0) rows.on_stages({0, last});
  rows.cut_evenly("language.embed_tokens.weight", {text.vocabulary, text.hidden}, 0, text.vocabulary);
  for (std::int64_t i = 0; i < text.layers; ++i) {
    rows.on_stages({partition.stage_of_layer(i)});
    add_decoder_layer(rows, text, "language.layers." + std::to_string(i) + ".");
  }
  rows.on_stages({last});
  rows.whole("language.norm.weight", {text.hidden});
  if (!text.tied_head) rows.cut_evenly("language.lm_head.weight", {text.vocabulary, text.hidden}, 0, text.vocabulary);
  return parallel::ParameterTable(rows.take());
}

ForwardCost forward_cost(const LmmConfig& config, const Workload& workload) {
  // A product [m,k]·[k,n] is 2mkn; attention over T positions of width d adds 4·T²·d, half of it when causal.
  const auto hidden = static_cast<double>(config.text.hidden);
  const auto query = static_cast<double>(config.text.heads * config.text.head_size);
  const auto key_value = static_cast<double>(config.text.kv_heads * config.text.head_size);
  const auto width = static_cast<double>(config.text.intermediate);
  const auto tokens = static_cast<double>(workload.tiles * config.vision.tile_tokens() + workload.text_tokens);

  ForwardCost cost;
  cost.vision = family_of(config).vision_cost(config, workload);
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
