// SPDX-License-Identifier: Apache-2.0
// A run of decoder layers, as one pipeline stage holds them. Shape suffixes: T packed tokens, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "models/decoder/decoder_layer.h"
#include "models/lmm/config.h"
#include "parallel/parameter.h"

namespace retain::models {

class Decoder {
 public:
  /// Layers `layers` (global numbers) of the whole decoder; `group` is the tensor group and outlives the decoder.
  Decoder(const TextConfig& config, const parallel::ParameterSet& parameters, parallel::Range layers,
          parallel::Communicator& group);

  /// All layers over packed samples; positions_T is [T], or [3,T] for multimodal positions. With `recompute`, only each
  /// layer's input is kept for the backward pass.
  at::Tensor forward(const at::Tensor& hidden_TH, const at::Tensor& positions_T, const parallel::PackedRows& rows,
                     bool recompute) const;

  /// All layers over the new tokens of each sequence in `cache`: all of a sequence's first, or one; no gradient. With `ends_only`
  /// the result is that of each sequence's last token, [B,H], and the last layer computes no other.
  at::Tensor forward_cached(const at::Tensor& hidden_TH, const at::Tensor& positions_T, const std::vector<std::int64_t>& starts,
                            KvCache& cache, bool ends_only) const;

  /// From now on sees the blocks of every forward(); empty: nobody does.
  void observe(BlockObserver observer) { observer_ = std::move(observer); }

 private:
  RotarySettings rotary_;
  std::vector<DecoderLayer> layers_;
  std::shared_ptr<parallel::Extension> extension_;
  std::int64_t first_layer_;
  BlockObserver observer_;
};

}  // namespace retain::models
