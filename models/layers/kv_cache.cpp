// SPDX-License-Identifier: Apache-2.0
#include "models/layers/kv_cache.h"

#include <algorithm>

namespace retain::models {
namespace {

constexpr std::int64_t kRoom = 64;  // tokens a cache grows by: short answers need no second copy of a long prompt's keys

}  // namespace

void KvCache::enter(const std::vector<std::int64_t>& starts) {
  prefill_ = longest_ == 0;
  for (std::size_t i = 0; i < lengths_.size(); ++i) lengths_[i] += starts.at(i + 1) - starts[i];
  longest_ = lengths_.empty() ? 0 : *std::max_element(lengths_.begin(), lengths_.end());
  if (capacity_ < longest_) capacity_ = longest_ + kRoom;
  std::vector<std::int64_t> slots;
  slots.reserve(static_cast<std::size_t>(starts.back()));
  for (std::size_t i = 0; i < lengths_.size(); ++i) {
    const std::int64_t added = starts[i + 1] - starts[i], end = static_cast<std::int64_t>(i) * capacity_ + lengths_[i];
    for (std::int64_t slot = end - added; slot < end; ++slot) slots.push_back(slot);
  }
  slots_T_ = at::tensor(slots, at::kLong);
  filled_B11S_ = at::Tensor();
  if (std::any_of(lengths_.begin(), lengths_.end(), [&](std::int64_t length) { return length != longest_; }))
    filled_B11S_ = at::arange(longest_).unsqueeze(0).lt(at::tensor(lengths_, at::kLong).unsqueeze(1)).unsqueeze(1).unsqueeze(1);
}

void KvCache::reserve(at::Tensor& stored_BSKD, const at::Tensor& like_TKD) const {
  if (stored_BSKD.defined() && stored_BSKD.size(1) >= capacity_) return;
  // zeros: a masked place is multiplied by nought, which a NaN found in fresh memory would survive
  const at::Tensor larger_BSKD =
      at::zeros({static_cast<std::int64_t>(lengths_.size()), capacity_, like_TKD.size(1), like_TKD.size(2)}, like_TKD.options());
  if (stored_BSKD.defined()) larger_BSKD.narrow(1, 0, stored_BSKD.size(1)).copy_(stored_BSKD.narrow(0, 0, larger_BSKD.size(0)));
  stored_BSKD = larger_BSKD;
}

std::pair<at::Tensor, at::Tensor> KvCache::append(std::size_t layer, const at::Tensor& k_TKD, const at::Tensor& v_TKD) {
  const auto sequences = static_cast<std::int64_t>(lengths_.size());
  slots_T_ = slots_T_.to(k_TKD.device());
  if (filled_B11S_.defined()) filled_B11S_ = filled_B11S_.to(k_TKD.device());
  const auto put = [&](at::Tensor& stored_BSKD, const at::Tensor& new_TKD) {
    reserve(stored_BSKD, new_TKD);
    stored_BSKD.flatten(0, 1).index_copy_(0, slots_T_, new_TKD);
    return stored_BSKD.narrow(0, 0, sequences).narrow(1, 0, longest_);
  };
  Layer& stored = layers_.at(layer);
  at::Tensor k_BSKD = put(stored.k_BSKD, k_TKD);
  return {std::move(k_BSKD), put(stored.v_BSKD, v_TKD)};
}

void KvCache::keep(const std::vector<std::size_t>& sequences) {
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const std::size_t from = sequences[i];
    if (from == i) continue;
    for (Layer& layer : layers_)
      for (at::Tensor* stored_BSKD : {&layer.k_BSKD, &layer.v_BSKD})
        if (stored_BSKD->defined())
          stored_BSKD->select(0, static_cast<std::int64_t>(i)).copy_(stored_BSKD->select(0, static_cast<std::int64_t>(from)));
    lengths_.at(i) = lengths_.at(from);
  }
  lengths_.resize(sequences.size());
}

}  // namespace retain::models
