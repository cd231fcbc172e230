// SPDX-License-Identifier: Apache-2.0
#include "models/layers/kv_cache.h"

namespace retain::models {
namespace {

void grow(at::Tensor& stored_SKD, const at::Tensor& like_TKD, std::int64_t used, std::int64_t capacity) {
  at::Tensor larger_SKD = at::empty({capacity, like_TKD.size(1), like_TKD.size(2)}, like_TKD.options());
  if (used > 0) larger_SKD.narrow(0, 0, used).copy_(stored_SKD.narrow(0, 0, used));
  stored_SKD = larger_SKD;
}

}  // namespace

std::pair<at::Tensor, at::Tensor> KvCache::append(std::size_t layer, std::size_t sequence, const at::Tensor& k_TKD,
                                                  const at::Tensor& v_TKD) {
  Entry& entry = entries_.at(layer * sequences_ + sequence);
  const std::int64_t added = k_TKD.size(0), total = entry.length + added;
  if (!entry.k_SKD.defined() || entry.k_SKD.size(0) < total) {
    const std::int64_t capacity = std::max(total + 32, 2 * entry.length);
    grow(entry.k_SKD, k_TKD, entry.length, capacity);
    grow(entry.v_SKD, v_TKD, entry.length, capacity);
  }
  entry.k_SKD.narrow(0, entry.length, added).copy_(k_TKD);
  entry.v_SKD.narrow(0, entry.length, added).copy_(v_TKD);
  entry.length = total;
  return {entry.k_SKD.narrow(0, 0, total), entry.v_SKD.narrow(0, 0, total)};
}

void KvCache::keep(const std::vector<std::size_t>& sequences) {
  const std::size_t layers = sequences_ == 0 ? 0 : entries_.size() / sequences_;
  std::vector<Entry> kept;
  kept.reserve(layers * sequences.size());
  for (std::size_t layer = 0; layer < layers; ++layer)
    for (const std::size_t sequence : sequences) kept.push_back(entries_.at(layer * sequences_ + sequence));
  entries_ = std::move(kept);
  sequences_ = sequences.size();
}

}  // namespace retain::models
