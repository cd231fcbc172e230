// SPDX-License-Identifier: Apache-2.0
// K: rows that get logits; V: vocabulary rows of this tensor rank.
#include "models/lmm/lmm.h"

#include <optional>
#include <utility>

#include "framework/base/error.h"
#include "models/decoder/decoder.h"
#include "models/layers/kv_cache.h"
#include "models/layers/rms_norm.h"
#include "models/lmm/image_features.h"
#include "parallel/collective_ops.h"
#include "parallel/tensor/gemm.h"
#include "parallel/tensor/vocab_argmax.h"
#include "parallel/tensor/vocab_cross_entropy.h"
#include "parallel/tensor/vocab_embedding.h"

namespace retain::models {

using framework::Error;
using framework::ErrorKind;
using parallel::Range;

namespace {

constexpr const char* embedding_name = "language.embed_tokens.weight";
constexpr const char* head_name = "language.lm_head.weight";

/// Vocabulary rows of one tensor rank.
Range rows_of(const parallel::ParameterSpec& spec, int tensor_rank) {
  return spec.cut_dimension == 0 ? spec.cuts.at(static_cast<std::size_t>(tensor_rank)) : Range{0, spec.shape.at(0)};
}

}  // namespace

struct Lmm::Parts {
  Parts(LmmConfig model, const parallel::Mesh& ranks, parallel::PipelinePartition stages, parallel::ParameterTable rows,
        parallel::ParameterSet held, LmmOptions settings)
      : config(std::move(model)),
        mesh(ranks),
        partition(std::move(stages)),
        table(std::move(rows)),
        parameters(std::move(held)),
        options(settings),
        decoder(config.text, parameters, partition.layers.at(static_cast<std::size_t>(ranks.position().pipeline)),
                ranks.tensor()) {
    if (mesh.is_first_pipeline_stage()) images.emplace(config, parameters, mesh.tensor(), options.features);
  }

  /// Token embeddings with the visual tokens in their places.
  at::Tensor embed(const MicroBatch& batch);
  at::Tensor image_rows(const MicroBatch& batch) const;
  /// This tensor rank's columns of the logits at `rows`.
  at::Tensor local_logits(const at::Tensor& hidden_TH, const at::Tensor& rows) const;
  const parallel::Parameter& head() const {
    return parameters.parameter(config.text.tied_head ? embedding_name : head_name);
  }
  Range head_columns() const { return rows_of(head().spec, mesh.position().tensor); }
  void require_last(const char* what) const {
    if (!mesh.is_last_pipeline_stage()) throw Error(ErrorKind::internal, std::string(what) + " is the last pipeline stage's");
  }

  LmmConfig config;
  const parallel::Mesh& mesh;
  parallel::PipelinePartition partition;
  parallel::ParameterTable table;
  parallel::ParameterSet parameters;
  LmmOptions options;
  Decoder decoder;
  std::optional<ImageFeatures> images;  ///< on the first pipeline stage
};

at::Tensor Lmm::Parts::image_rows(const MicroBatch& batch) const {
  if (batch.image_rows_I.defined()) return batch.image_rows_I;
  at::Tensor visual_T = batch.ids_T == config.image_token;
  if (config.video_token) visual_T = visual_T.logical_or(batch.ids_T == *config.video_token);
  return visual_T.nonzero().squeeze(1);
}

at::Tensor Lmm::Parts::embed(const MicroBatch& batch) {
  const parallel::Parameter& embedding = parameters.parameter(embedding_name);
  const at::Tensor rows_I = image_rows(batch).to(embedding.value.device());
  // The image token may lie outside the vocabulary: its places are left empty by the lookup.
  const at::Tensor ids_T = batch.ids_T.to(embedding.value.device()).index_fill(0, rows_I, -1);
  const at::Tensor text_TH = parallel::vocab_embedding(ids_T, embedding.value, rows_of(embedding.spec, mesh.position().tensor),
                                                       config.text.vocabulary, mesh.tensor());
  std::int64_t visual_tokens = 0;
  for (const ImageInput& image : batch.images) visual_tokens += image.tokens;
  if (visual_tokens != rows_I.size(0))
    throw Error(ErrorKind::data_image_count, {"image tokens and images of a micro-batch do not match",
                                              std::to_string(visual_tokens) + " image tokens", std::to_string(rows_I.size(0)),
                                              "every <image> needs one picture, and every picture one <image>"});
  if (batch.images.empty()) return text_TH;
  return text_TH.index_copy(0, rows_I, images->forward(batch.images).to(text_TH.scalar_type()));
}

at::Tensor Lmm::Parts::local_logits(const at::Tensor& hidden_TH, const at::Tensor& rows) const {
  const at::Tensor chosen_KH = hidden_TH.index_select(0, rows.to(hidden_TH.device()));
  const at::Tensor normed_KH = rms_norm(chosen_KH, parameters.at("language.norm.weight"), config.text.norm_eps);
  return parallel::apply_linear(parallel::copy_to_tensor_group(normed_KH, mesh.tensor()), head().value, {});
}

Lmm::Lmm(LmmConfig config, const parallel::Mesh& mesh, parallel::PipelinePartition partition, parallel::ParameterTable table,
         parallel::ParameterSet parameters, LmmOptions options)
    : parts_(std::make_unique<Parts>(std::move(config), mesh, std::move(partition), std::move(table), std::move(parameters),
                                     options)) {}

Lmm::~Lmm() = default;

const LmmConfig& Lmm::config() const { return parts_->config; }
const parallel::Mesh& Lmm::mesh() const { return parts_->mesh; }
const parallel::PipelinePartition& Lmm::partition() const { return parts_->partition; }
const parallel::ParameterTable& Lmm::table() const { return parts_->table; }
parallel::ParameterSet& Lmm::parameters() { return parts_->parameters; }
const LmmOptions& Lmm::options() const { return parts_->options; }

void Lmm::observe_blocks(BlockObserver observer) { parts_->decoder.observe(std::move(observer)); }

void Lmm::parameters_replaced() {
  if (parts_->images) parts_->images->forget_weights();
}

at::Tensor Lmm::forward(const MicroBatch& batch, const at::Tensor& hidden_TH) {
  const at::Tensor input_TH = parts_->mesh.is_first_pipeline_stage() ? parts_->embed(batch) : hidden_TH;
  return parts_->decoder.forward(input_TH, batch.positions_T.to(input_TH.device()), {batch.starts, batch.numbers},
                                 parts_->options.recompute_activations);
}

at::Tensor Lmm::forward_cached(const MicroBatch& batch, const at::Tensor& hidden_TH, KvCache& cache) {
  const at::NoGradGuard no_gradients;
  const at::Tensor input_TH = parts_->mesh.is_first_pipeline_stage() ? parts_->embed(batch) : hidden_TH;
  return parts_->decoder.forward_cached(input_TH, batch.positions_T.to(input_TH.device()), batch.starts, cache,
                                        parts_->mesh.is_last_pipeline_stage());
}

at::Tensor Lmm::loss(const MicroBatch& batch, const at::Tensor& hidden_TH) {
  parts_->require_last("the loss");
  const at::Tensor logits_KV = parts_->local_logits(hidden_TH, batch.answer_rows_A);
  return parallel::vocab_cross_entropy(logits_KV, batch.targets_A.to(logits_KV.device()),
                                       batch.weights_A.to(logits_KV.device()), parts_->head_columns(), parts_->mesh.tensor());
}

at::Tensor Lmm::logits(const at::Tensor& hidden_TH, const at::Tensor& rows) {
  const at::NoGradGuard no_gradients;
  parts_->require_last("the logits");
  std::vector<std::int64_t> sizes;
  for (int rank = 0; rank < parts_->mesh.tensor().size(); ++rank) sizes.push_back(rows_of(parts_->head().spec, rank).size());
  const at::Tensor logits_KV = parts_->local_logits(hidden_TH, rows).to(at::kFloat);
  return parallel::gather_from_tensor_group(logits_KV, 1, sizes, parts_->mesh.tensor());
}

at::Tensor Lmm::local_logits(const at::Tensor& hidden_TH, const at::Tensor& rows) {
  parts_->require_last("the logits");
  return parts_->local_logits(hidden_TH, rows);
}

at::Tensor Lmm::predict(const at::Tensor& hidden_TH, const at::Tensor& rows) {
  const at::NoGradGuard no_gradients;
  parts_->require_last("the prediction");
  return parallel::vocab_argmax(parts_->local_logits(hidden_TH, rows), parts_->head_columns(), parts_->mesh.tensor());
}

}  // namespace retain::models
