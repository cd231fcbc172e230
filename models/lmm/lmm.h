// SPDX-License-Identifier: Apache-2.0
// A large multimodal model as one rank holds it: its pipeline stage's layers, cut over its tensor group.
// Shape suffixes: T packed tokens, H hidden, A supervised positions, V vocabulary.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>

#include "models/decoder/block_observer.h"
#include "models/lmm/batch.h"
#include "models/lmm/config.h"
#include "parallel/mesh.h"
#include "parallel/parameter.h"
#include "parallel/pipeline/partition.h"

namespace retain::models {

class FeatureCache;  // models/vision/feature_cache.h
class KvCache;       // models/layers/kv_cache.h

/// Settings of the computation that change memory or time, not results.
struct LmmOptions {
  bool recompute_activations = false;  ///< keep only each decoder layer's input; recompute the rest in the backward pass
  FeatureCache* features = nullptr;    ///< reuse of frozen vision features (tower + nothing trainable in it); may be null
};

class Lmm {
 public:
  /// `parameters` are this rank's (see models/weights/load.h); `mesh` outlives the model.
  Lmm(LmmConfig config, const parallel::Mesh& mesh, parallel::PipelinePartition partition, parallel::ParameterTable table,
      parallel::ParameterSet parameters, LmmOptions options);
  ~Lmm();

  const LmmConfig& config() const;
  const parallel::Mesh& mesh() const;
  const parallel::PipelinePartition& partition() const;
  const parallel::ParameterTable& table() const;
  parallel::ParameterSet& parameters();
  const LmmOptions& options() const;

  /// This pipeline stage's part of the forward pass. `hidden_TH`: the previous pipeline stage's result, undefined on the
  /// first. Returns hidden_TH for the next one; on the last, the hidden states before the final norm.
  at::Tensor forward(const MicroBatch& batch, const at::Tensor& hidden_TH);

  /// Last pipeline stage: final norm, head and vocabulary-parallel cross-entropy at the answer rows only.
  /// Returns the float32 scalar sum of weights_A · cross-entropy, the same on all tensor ranks.
  at::Tensor loss(const MicroBatch& batch, const at::Tensor& hidden_TH);

  /// Last pipeline stage: this tensor rank's columns of the logits at `rows` (int64 [K]) of hidden_TH, [K,V] of the weights'
  /// dtype, with a gradient where hidden states or head need one.
  at::Tensor local_logits(const at::Tensor& hidden_TH, const at::Tensor& rows);

  /// Last pipeline stage: the most likely next token (int64 [rows], the smallest id among equals) after each of `rows` of
  /// hidden_TH; the logits are not gathered.
  at::Tensor predict(const at::Tensor& hidden_TH, const at::Tensor& rows);

  /// Last pipeline stage: whole-vocabulary float32 logits [rows, V] at `rows` of hidden_TH, gathered over the tensor group.
  at::Tensor logits(const at::Tensor& hidden_TH, const at::Tensor& rows);

  /// One step of incremental decoding (no gradient): `batch` holds only new tokens of each sequence (positions_T absolute), whole
  /// prompts in the first step and one token in every other; keys and values are appended to `cache`, whose sequence i is the
  /// batch's i-th. The last pipeline stage returns the hidden state of each sequence's last token alone, [B,H].
  at::Tensor forward_cached(const MicroBatch& batch, const at::Tensor& hidden_TH, KvCache& cache);

  /// From now on sees what the decoder blocks of this pipeline stage add in forward(); empty: nobody does.
  void observe_blocks(BlockObserver observer);

  /// Must be called after parameters were changed other than by training them (another stage's weights were loaded into
  /// them): cached vision features are named by the weights that made them.
  void parameters_replaced();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace retain::models
