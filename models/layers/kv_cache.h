// SPDX-License-Identifier: Apache-2.0
// Keys and values of sequences that are being generated. Shape suffixes: T new tokens, S all tokens, K local key-value
// heads, D head size.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace retain::models {

/// One pipeline stage's decoder layers times a batch of sequences, each of its own length. Storage doubles when full.
class KvCache {
 public:
  KvCache(std::int64_t layers, std::int64_t sequences)
      : sequences_(static_cast<std::size_t>(sequences)),
        entries_(static_cast<std::size_t>(layers) * static_cast<std::size_t>(sequences)) {}

  std::size_t sequences() const noexcept { return sequences_; }

  /// Appends k_TKD and v_TKD to a sequence in a layer (counted from this pipeline stage's first) and returns all [S,K,D]
  /// of it, valid until the next append there.
  std::pair<at::Tensor, at::Tensor> append(std::size_t layer, std::size_t sequence, const at::Tensor& k_TKD,
                                           const at::Tensor& v_TKD);

  /// Keeps only the sequences named, in that order (finished ones are dropped).
  void keep(const std::vector<std::size_t>& sequences);

 private:
  struct Entry {
    at::Tensor k_SKD;
    at::Tensor v_SKD;
    std::int64_t length = 0;
  };
  std::size_t sequences_;
  std::vector<Entry> entries_;  ///< layer-major
};

}  // namespace retain::models
