// SPDX-License-Identifier: Apache-2.0
// Follows models/decoder/decoder_layer.cpp, models/llava/encoder.cpp and models/lmm/lmm.cpp operation by operation.
// T tokens, H hidden, Q and K local widths of queries and keys, I local MLP features, e bytes an element.
#include "recipes/planning/memory_model.h"

#include <algorithm>
#include <set>

#include "models/lmm/table.h"

namespace retain::recipes {

namespace {

constexpr std::int64_t kBucketElements = 8 * 1024 * 1024;  // parallel/data_parallel.h
constexpr std::int64_t kBucketsInFlight = 3;
// Measured by bench/planner.py: libraries' own blocks, and one part in so many of what a step allocates and frees.
constexpr std::int64_t kLibraryBytes = 16 * 1024 * 1024;
constexpr std::int64_t kHolesOneIn = 16;
// Of a compiled product that is kept for the next of its shape: its code, and the hole in the heap that it pins.
constexpr std::int64_t kProductBytes = 1024 * 1024;

class Estimate {
 public:
  Estimate(const MemoryRequest& request, int pipeline_stage, int tensor_rank)
      : r_(request),
        stage_(pipeline_stage),
        rank_(tensor_rank),
        element_(framework::size_of(request.dtype)),
        rows_(request.batch.tokens),
        hidden_(request.config.text.hidden) {
    for (const Selected& one : request.selected) trained_.insert(one.name);
    const models::TextConfig& text = request.config.text;
    const models::HeadShare heads = models::head_share(text, request.shape.tensor, tensor_rank);
    query_ = heads.query.size() * text.head_size;
    key_ = heads.key_value.size() * text.head_size;
    heads_ = heads.query.size();
    width_ = parallel::even_share(text.intermediate, request.shape.tensor, tensor_rank).size();
    vocabulary_ = parallel::even_share(text.vocabulary, request.shape.tensor, tensor_rank).size();
  }

  RankMemory run() {
    RankMemory memory;
    memory.state = rank_bytes(r_.table, r_.selected, r_.settings, r_.shape, stage_, rank_);
    if (r_.method) memory.state.weights += r_.method->bytes_beside(memory.state.trained_elements * element_);
    const bool first = stage_ == 0, last = stage_ == r_.shape.pipeline - 1;
    bool flow = trained_below();
    std::int64_t saved = flow && !first ? rows_ * hidden_ * element_ : 0;  // the message's tensor
    if (first) {
      saved += vision_saved(flow);
      memory.pictures = pictures();
      memory.features = r_.feature_bytes;
    }
    const parallel::Range layers = r_.partition.layers.at(static_cast<std::size_t>(stage_));
    for (std::int64_t layer = layers.begin; layer < layers.end; ++layer) saved += layer_saved(layer, flow);
    if (last) saved += head_saved(flow);
    memory.activations = saved * in_flight();
    if (micro_batches() == 1) memory.activations = std::max<std::int64_t>(0, saved + head_gradient() - memory.state.gradients);
    memory.working = working_ + largest_gradient() + largest_weight();
    memory.heap = kLibraryBytes + (memory.state.gradients + memory.activations + memory.working) / kHolesOneIn;
    memory.heap += r_.kept_products * kProductBytes;
    if (r_.shape.data > 1 && memory.state.trained_elements > 0)
      memory.reduction = 4 * std::min(kBucketElements * kBucketsInFlight, memory.state.trained_elements);
    if (r_.written_in_background) memory.snapshot = snapshot(memory.state);
    return memory;
  }

 private:
  bool trains(const std::string& name) const { return trained_.contains(name); }
  /// Weight, bias, or something beside them.
  bool trains_linear(const std::string& name) const {
    const auto next = trained_.lower_bound(name + ".");
    return next != trained_.end() && next->starts_with(name + ".");
  }

  /// Something before this pipeline stage is trained.
  bool trained_below() const {
    return std::any_of(r_.table.rows().begin(), r_.table.rows().end(), [&](const parallel::ParameterSpec& row) {
      return row.pipeline_stages.front() < stage_ && trained_.contains(row.name);
    });
  }

  void hold(std::int64_t bytes) { working_ = std::max(working_, bytes); }

  /// 1F1B: a pipeline stage has as many micro-batches in flight as there are pipeline stages from it on.
  std::int64_t in_flight() const { return std::min<std::int64_t>(micro_batches(), r_.shape.pipeline - stage_); }

  /// Of one step, on this replica.
  std::int64_t micro_batches() const {
    const std::int64_t per_rank = std::max<std::int64_t>(1, r_.settings.global_batch / r_.shape.data);
    return (per_rank + r_.settings.micro_batch - 1) / r_.settings.micro_batch;
  }

  /// Of the head's weight: it comes while every layer's activations are still held.
  std::int64_t head_gradient() const {
    const std::int64_t elements = vocabulary_ * hidden_;
    return stage_ == r_.shape.pipeline - 1 && trains("language.lm_head.weight") ? elements * element_ : 0;
  }

  /// Bytes kept of one decoder layer; `flow`: its input needs a gradient, on return: its output does.
  std::int64_t layer_saved(std::int64_t index, bool& flow) {
    const std::string layer = "language.layers." + std::to_string(index) + ".";
    const std::int64_t rows_hidden = rows_ * hidden_ * element_, attention = rows_ * (2 * query_ + 2 * key_) * element_ +
                                                                             4 * rows_ * heads_;
    const std::int64_t wide = rows_ * width_ * element_;
    std::int64_t saved = 0;
    const bool trains_qkv = trains_linear(layer + "self_attn.q_proj") || trains_linear(layer + "self_attn.k_proj") ||
                            trains_linear(layer + "self_attn.v_proj");
    const bool normed = flow || trains(layer + "input_layernorm.weight");
    if (normed) saved += rows_hidden + 4 * rows_;
    if (trains_qkv) saved += rows_hidden;
    const bool attends = normed || trains_qkv, trains_out = trains_linear(layer + "self_attn.o_proj");
    if (attends) saved += attention;
    if (!attends && trains_out) saved += rows_ * query_ * element_;
    const bool attended = flow || attends || trains_out, normed_again = attended || trains(layer + "post_attention_layernorm.weight");
    if (normed_again) saved += rows_hidden + 4 * rows_;
    const bool trains_gate_up = trains_linear(layer + "mlp.gate_proj") || trains_linear(layer + "mlp.up_proj");
    if (trains_gate_up) saved += rows_hidden;
    const bool gated = normed_again || trains_gate_up, trains_down = trains_linear(layer + "mlp.down_proj");
    if (gated) saved += 2 * wide;
    if (trains_down) saved += wide;
    if (trains_linear(layer + "mlp.expert")) {  // the router's input, the expert's, its gate, up and product, both results
      saved += 4 * rows_hidden + 3 * wide;
      hold(6 * wide + 6 * rows_hidden);
    }
    flow = attended || gated || trains_down || trains_linear(layer + "mlp.expert");
    // Forward: q, k, v, rotated copies and the result, or gate, up and product; backward: the gradients of the same.
    hold(std::max(2 * attention + 3 * rows_hidden, 3 * wide + 4 * rows_hidden));
    if (!r_.settings.recompute || saved == 0) return saved;
    hold(std::max(2 * attention + 3 * rows_hidden, 3 * wide + 4 * rows_hidden) + saved);
    return rows_hidden;
  }

  std::int64_t head_saved(bool flow) {
    const std::int64_t answers = r_.batch.answers, logits = answers * vocabulary_ * element_;
    const bool trains_head = trains("language.lm_head.weight") || (r_.config.text.tied_head && trains("language.embed_tokens.weight"));
    const bool backward = flow || trains("language.norm.weight") || trains_head;
    hold(2 * logits + 3 * answers * hidden_ * element_ + rows_ * hidden_ * element_);
    if (!backward) return 0;
    return logits + (trains_head ? 2 : 1) * answers * hidden_ * element_;
  }

  std::int64_t vision_saved(bool& flow) {
    const models::VisionConfig& vision = r_.config.vision;
    const std::int64_t patches = r_.batch.patches, row = patches * vision.hidden * element_;
    const std::int64_t wide = patches * parallel::even_share(vision.intermediate, r_.shape.tensor, rank_).size() * element_;
    const std::int64_t projected = patches * hidden_ * element_, visual = r_.batch.visual_tokens * hidden_ * element_;
    const auto any = [&](std::string_view prefix) {
      return std::any_of(trained_.begin(), trained_.end(), [&](const std::string& name) { return name.starts_with(prefix); });
    };
    const bool tower = any("vision."), projector = any("projector."), newline = any("image_newline");
    // A windowed tower also keeps turned queries and keys, and the two halves of a gated MLP.
    const std::int64_t layer = vision.windowed ? 10 * row + 3 * wide : 8 * row + 2 * wide;
    hold(layer);
    hold(row + 3 * projected + 2 * visual);
    std::int64_t saved = 0;
    if (tower) saved += vision.computed_layers() * layer;
    if (tower || projector) saved += row + 2 * projected;
    if (tower || projector || newline) saved += projected + visual;
    flow = tower || projector || newline || trains("language.embed_tokens.weight");
    return saved;
  }

  /// The batch under way and the one that is read ahead.
  std::int64_t pictures() const {
    const models::VisionConfig& vision = r_.config.vision;
    const std::int64_t side = vision.patch_size, frames = vision.windowed ? vision.windowed->frames : 1;
    const std::int64_t samples = std::max<std::int64_t>(1, r_.settings.global_batch / r_.shape.data);
    return 2 * samples * r_.batch.patches * 3 * frames * side * side * 4 / std::max<std::int64_t>(1, r_.settings.micro_batch);
  }

  /// What is trained, and the optimizer where checkpoints are due, dealt out over the data ranks.
  std::int64_t snapshot(const RankBytes& state) const {
    std::int64_t bytes = 0;
    for (const parallel::ParameterSpec& row : r_.table.rows())
      if (row.held_by(stage_) && trained_.contains(row.name))
        bytes += framework::elements_of(row.local_shape(rank_)) * framework::size_of(row.dtype);
    if (r_.settings.save_every > 0) bytes += state.optimizer * (r_.settings.zero ? r_.shape.data : 1);
    return (bytes + r_.shape.data - 1) / r_.shape.data;
  }

  /// A micro-batch's gradient exists beside the sum it is added to.
  std::int64_t largest_gradient() const {
    std::int64_t largest = 0;
    for (const parallel::ParameterSpec& row : r_.table.rows())
      if (row.held_by(stage_) && trained_.contains(row.name))
        largest = std::max(largest, framework::elements_of(row.local_shape(rank_)) * element_);
    return largest;
  }

  /// Matrix products may bring a weight into their own order first.
  std::int64_t largest_weight() const {
    std::int64_t largest = 0;
    for (const parallel::ParameterSpec& row : r_.table.rows())
      if (row.held_by(stage_) && row.name.ends_with("_proj.weight"))
        largest = std::max(largest, framework::elements_of(row.local_shape(rank_)) * element_);
    return largest;
  }

  const MemoryRequest& r_;
  int stage_, rank_;
  std::int64_t element_, rows_, hidden_;
  std::int64_t query_ = 0, key_ = 0, heads_ = 0, width_ = 0, vocabulary_ = 0;
  std::set<std::string> trained_;
  std::int64_t working_ = 0;
};

}  // namespace

RankMemory rank_memory(const MemoryRequest& request, int pipeline_stage, int tensor_rank) {
  return Estimate(request, pipeline_stage, tensor_rank).run();
}

}  // namespace retain::recipes
