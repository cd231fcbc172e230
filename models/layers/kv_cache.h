// SPDX-License-Identifier: Apache-2.0
// Keys and values of sequences that are being generated. Shape suffixes: T new tokens of all sequences, B sequences, S places
// of a sequence, K local key-value heads, D head size.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace retain::models {

/// One pipeline stage's decoder layers times a batch of sequences. Sequences stand side by side in one tensor a layer, so that a
/// decoding step is one attention call; the shorter ones leave places empty behind their last token.
class KvCache {
 public:
  KvCache(std::int64_t layers, std::int64_t sequences)
      : layers_(static_cast<std::size_t>(layers)), lengths_(static_cast<std::size_t>(sequences), 0) {}

  std::size_t sequences() const noexcept { return lengths_.size(); }

  /// Begins a pass: sequence i takes starts[i + 1] − starts[i] new tokens. Every layer then appends them.
  void enter(const std::vector<std::int64_t>& starts);

  /// The tokens of this pass are the first of every sequence.
  bool is_prefill() const noexcept { return prefill_; }

  /// Puts a layer's k_TKD and v_TKD behind what it has (layers count from this pipeline stage's first) and returns all of it,
  /// [B,S,K,D] with S the longest sequence; valid until the next append there.
  std::pair<at::Tensor, at::Tensor> append(std::size_t layer, const at::Tensor& k_TKD, const at::Tensor& v_TKD);

  /// Bool [B,1,1,S]: false in the empty places. Undefined where there are none.
  const at::Tensor& filled() const noexcept { return filled_B11S_; }

  /// Keeps the sequences named, in that order; those named must not come before their place: sequences[i] ≥ i.
  void keep(const std::vector<std::size_t>& sequences);

 private:
  struct Layer {
    at::Tensor k_BSKD;
    at::Tensor v_BSKD;
  };
  void reserve(at::Tensor& stored_BSKD, const at::Tensor& like_TKD) const;

  std::vector<Layer> layers_;
  std::vector<std::int64_t> lengths_;  ///< with this pass's tokens
  std::int64_t longest_ = 0;
  std::int64_t capacity_ = 0;          ///< places of a sequence that the tensors have, or get when next appended to
  at::Tensor slots_T_;                 ///< int64: where the pass's tokens go, in rows of the flattened [B·capacity]
  at::Tensor filled_B11S_;
  bool prefill_ = true;
};

}  // namespace retain::models
