// SPDX-License-Identifier: Apache-2.0
#include "parallel/shard_geometry.h"

#include <algorithm>

namespace retain::parallel {

ShardGeometry::ShardGeometry(const ParameterSpec& spec, int tensor_rank) : ShardGeometry(spec, tensor_rank, {0, -1}) {
  share_ = {0, slice_elements()};
}

ShardGeometry::ShardGeometry(const ParameterSpec& spec, int tensor_rank, Range share) : share_(share) {
  if (spec.cut_dimension < 0) {
    pitch_ = run_ = spec.elements();
    return;
  }
  const auto cut = static_cast<std::size_t>(spec.cut_dimension);
  std::int64_t inner = 1;
  for (std::size_t i = 0; i < spec.shape.size(); ++i) {
    if (i < cut) outer_ *= spec.shape[i];
    if (i > cut) inner *= spec.shape[i];
  }
  const Range& range = spec.cuts.at(static_cast<std::size_t>(tensor_rank));
  outer_ *= spec.cut_blocks;
  pitch_ = spec.shape.at(cut) / spec.cut_blocks * inner;
  start_ = range.begin * inner;
  run_ = range.size() * inner;
}

std::int64_t ShardGeometry::lower_bound(std::int64_t global) const {
  if (pitch_ == 0) return 0;
  const std::int64_t outer = global / pitch_;
  return outer * run_ + std::clamp<std::int64_t>(global % pitch_ - start_, 0, run_);
}

std::int64_t ShardGeometry::global_of(std::int64_t slice_position) const {
  return slice_position / run_ * pitch_ + start_ + slice_position % run_;
}

Range ShardGeometry::local_range(Range global) const {
  const std::int64_t begin = std::clamp(lower_bound(global.begin), share_.begin, share_.end);
  const std::int64_t end = std::clamp(lower_bound(global.end), share_.begin, share_.end);
  return {begin - share_.begin, std::max(begin, end) - share_.begin};
}

Range ShardGeometry::global_hull() const {
  if (share_.size() <= 0 || run_ == 0) return {0, 0};
  return {global_of(share_.begin), global_of(share_.end - 1) + 1};
}

void ShardGeometry::for_each_run(Range global,
                                 const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& visit) const {
  const Range local = local_range(global);
  for (std::int64_t at = local.begin; at < local.end;) {
    const std::int64_t position = at + share_.begin;
    const std::int64_t count = std::min(run_ - position % run_, local.end - at);
    visit(at, global_of(position), count);
    at += count;
  }
}

}  // namespace retain::parallel
