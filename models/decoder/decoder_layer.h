// SPDX-License-Identifier: Apache-2.0
// One decoder layer of the Qwen2 and Llama kind: pre-norm attention with rotary positions and grouped key-value heads, then
// a gated MLP. Shape suffixes: T packed tokens, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/decoder/block_observer.h"
#include "models/layers/attention.h"
#include "models/layers/gated_mlp.h"
#include "models/layers/rotary.h"
#include "models/lmm/config.h"
#include "parallel/tensor/linear.h"

namespace retain::models {

class KvCache;

/// The last token of each sequence of a pass.
struct SequenceEnds {
  at::Tensor rows_B;   ///< int64, among the pass's T
  RotaryTable rotary;  ///< of these rows

  at::Tensor of(const at::Tensor& x_TH) const { return x_TH.index_select(0, rows_B); }
};

/// What all layers of one forward pass share.
struct DecoderPass {
  const RotaryTable& rotary;
  const std::vector<std::int64_t>& starts;  ///< samples + 1 offsets into T
  KvCache* cache = nullptr;                 ///< set, and entered: T holds only the new tokens of each sequence
  std::size_t cache_layer = 0;
  const BlockObserver* observer = nullptr;  ///< may be null
  std::int64_t layer = 0;                   ///< this layer's number, for the observer
  const SequenceEnds* ends = nullptr;       ///< set, with a cache: only the last token of each sequence goes on from here
};

class DecoderLayer {
 public:
  /// `prefix` such as "language.layers.3"; `group` is the tensor group and outlives the layer.
  DecoderLayer(const TextConfig& config, const parallel::ParameterSet& parameters, const std::string& prefix,
               parallel::Communicator& group);

  at::Tensor forward(const at::Tensor& hidden_TH, const DecoderPass& pass) const;

  /// Parameters of this layer that require a gradient now.
  std::vector<at::Tensor> trained() const;

 private:
  at::Tensor attend(const at::Tensor& x_TH, const DecoderPass& pass) const;
  at::Tensor attention(const at::Tensor& q_TND, const at::Tensor& k_TKD, const at::Tensor& v_TKD, const DecoderPass& pass) const;

  double norm_eps_;
  std::int64_t head_size_;
  LocalHeads heads_;
  parallel::Communicator* group_;
  at::Tensor input_norm_H_, post_attention_norm_H_;
  parallel::Linear q_proj_, k_proj_, v_proj_, o_proj_;
  parallel::Extension::Computation mlp_;  ///< its own, or what an extension puts in its place
  std::vector<at::Tensor> weights_;
};

}  // namespace retain::models
