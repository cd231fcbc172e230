// SPDX-License-Identifier: Apache-2.0
// Where the elements of one rank's part lie in the global row-major tensor. Everything is counted in elements.
#pragma once
#include <cstdint>
#include <functional>

#include "parallel/parameter.h"

namespace retain::parallel {

/// The part of a global tensor that one rank holds: its slice along the cut dimension, or a flat share of that slice.
/// Local order is the order of the slice, so local and global positions rise together.
class ShardGeometry {
 public:
  /// `share` of the flat slice; pass {0, slice_elements} for all of it.
  ShardGeometry(const ParameterSpec& spec, int tensor_rank, Range share);
  /// The whole slice.
  ShardGeometry(const ParameterSpec& spec, int tensor_rank);

  std::int64_t elements() const { return share_.size(); }
  std::int64_t slice_elements() const { return outer_ * run_; }

  /// The local elements whose global positions lie in `global`; contiguous, counted from the share's first.
  Range local_range(Range global) const;
  /// The smallest global range that holds all local elements; empty when there are none.
  Range global_hull() const;

  /// Global position of an element of the slice.
  std::int64_t global_of(std::int64_t slice_position) const;

  /// Calls `visit(local, global, count)` for each contiguous run of the elements in `global`: `local` counts from the share's
  /// first element.
  void for_each_run(Range global, const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& visit) const;

 private:
  std::int64_t lower_bound(std::int64_t global) const;

  std::int64_t outer_ = 1;   // product of the dimensions before the cut one, times its blocks
  std::int64_t pitch_ = 0;   // elements from one outer index to the next, globally
  std::int64_t start_ = 0;   // of this slice within the pitch
  std::int64_t run_ = 0;     // elements of this slice within the pitch
  Range share_;              // of the flat slice
};

}  // namespace retain::parallel
