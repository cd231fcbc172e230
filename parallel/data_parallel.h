// SPDX-License-Identifier: Apache-2.0
// Sums gradients over the ranks that share a parameter, in buckets and in a fixed order, and cuts them into this rank's
// share when the optimizer state is sharded (ZeRO stage 1: Rajbhandari et al. 2020, arXiv 1910.02054, section 5.1).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/gradients.h"
#include "parallel/mesh.h"
#include "parallel/parameter.h"

namespace retain::parallel {

/// Elements [begin, end) of a parameter's flattened local slice.
struct ParameterPiece {
  std::size_t parameter = 0;  ///< index into Gradients
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const ParameterPiece&) const = default;
};

/// The elements of a flattened slice that data rank `rank` of `shares` updates: equal shares, the last ones shorter.
Range data_share(std::int64_t slice_elements, int shares, int rank);

/// What travels in one message: a stretch of every share of several parameters. Its buffer holds one row a share, `width`
/// elements long; stretch k begins at offsets[k] of each row. Where a share is shorter the row is filled with zeros.
struct Bucket {
  std::vector<ParameterPiece> stretches;  ///< begin and end count from the beginning of each share
  std::vector<std::int64_t> offsets;
  std::int64_t width = 0;
};

/// Fills buckets of at most `capacity` elements a row in parameter order; a parameter whose share is larger than what is left
/// goes on in the next. Parameters of different `types` never share a bucket.
std::vector<Bucket> plan_buckets(const std::vector<std::int64_t>& share_sizes, const std::vector<at::ScalarType>& types,
                                 std::int64_t capacity);

/// A reduced gradient piece.
struct GradientPiece {
  ParameterPiece where;
  at::Tensor values;  ///< flat; undefined when no rank had a gradient for the parameter in this step
};

/// What one optimizer step works on.
struct ReducedGradients {
  std::vector<GradientPiece> pieces;  ///< in the order of GradientReducer::layout()
  std::vector<bool> defined;          ///< by parameter: some rank had a gradient
};

class GradientReducer {
 public:
  /// `gradients` and `mesh` outlive this. `shard`: every data rank ends with its own share only. Capacity in elements.
  GradientReducer(Gradients& gradients, const Mesh& mesh, bool shard, std::int64_t bucket_capacity = 8 * 1024 * 1024);

  /// Collective over the mesh. Sums over the tensor group where slices overlap, over first and last pipeline stage where
  /// an embedding is tied, then over the data group; losses are weighted so that sums are averages already. A gradient
  /// that is undefined here counts as zero. Takes the gradients' memory: Gradients is empty afterwards.
  ReducedGradients reduce();

  /// The pieces this rank updates, fixed for the reducer's life: all of every slice, or its share of them.
  const std::vector<ParameterPiece>& layout() const noexcept { return layout_; }
  /// What this rank updates of parameter i's flattened slice; its pieces cover it in order.
  Range share(std::size_t i) const;

  /// Collective over the data group: after the shares were updated, every data rank gets all parameters. Does nothing
  /// unless sharded.
  void gather_parameters();

  bool sharded() const noexcept { return shard_; }

 private:
  void sum_overlapping(std::size_t i);
  void sum_tied(std::size_t i);
  std::vector<bool> agree_on_defined();
  int shares() const { return shard_ ? mesh_.data().size() : 1; }
  ParameterPiece piece_of(const ParameterPiece& stretch, int row) const;
  at::Tensor fill(const Bucket& bucket);
  std::vector<GradientPiece> reduce_buckets(const std::vector<bool>& defined);

  Gradients& gradients_;
  const Mesh& mesh_;
  bool shard_;
  std::vector<Bucket> buckets_;
  std::vector<ParameterPiece> layout_;
};

}  // namespace retain::parallel
