// SPDX-License-Identifier: Apache-2.0
// The parameter table: one row says everything about a parameter that the loader, the recipes, the optimizer, the gradient
// reduction, the store, the exporter and the planner need to know.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/dtype.h"

namespace retain::parallel {

class Extension;  // parallel/extension.h

/// Half-open.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

/// `count` things over `parts` ranks as evenly as can be, earlier ranks first: part p of 5 over 2 is [0,3) and [3,5).
Range even_share(std::int64_t count, int parts, int part);

/// One row of the table. Identical on every rank.
struct ParameterSpec {
  std::string name;                 ///< canonical global name, e.g. "language.layers.3.mlp.up_proj.weight"
  std::vector<std::int64_t> shape;  ///< global shape
  framework::DType dtype = framework::DType::float32;  ///< of the weights while training
  int cut_dimension = -1;           ///< tensor dimension cut over the tensor axis; -1: replicated on all tensor ranks
  std::vector<Range> cuts;          ///< along cut_dimension, one a tensor rank, covering the dimension in order; ranges
                                    ///< overlap where key-value heads are shared by several tensor ranks
  std::vector<int> pipeline_stages; ///< who holds it; the first owns it (counts it in norms, writes it to the store).
                                    ///< Two entries only for a tied embedding: first and last pipeline stage.
  int cut_blocks = 1;               ///< cut_dimension is this many equal blocks one after another, and `cuts` holds within
                                    ///< each: 3 for a fused query, key and value weight, of which a rank holds the same
                                    ///< heads three times. Blocks are never cut into overlapping ranges.

  std::int64_t elements() const { return framework::elements_of(shape); }
  std::int64_t bytes() const { return elements() * framework::size_of(dtype); }
  /// Shape of tensor rank r's slice.
  std::vector<std::int64_t> local_shape(int tensor_rank) const;
  /// True where two tensor ranks hold a common row, so that gradients must be summed over them.
  bool overlapping() const;
  bool held_by(int pipeline_stage) const;
  /// A view of `tensor` (of global shape, or a slice) with the cut dimension as [cut_blocks, range]: `range` counts within a
  /// block. Throws Error(internal) for a row that is not cut.
  at::Tensor block_view(const at::Tensor& tensor, Range range) const;
  /// Tensor rank r's slice of a tensor of global shape, contiguous.
  at::Tensor slice_of(const at::Tensor& whole, int tensor_rank) const;
};

/// All parameters of a model in a fixed order (that of the forward pass). Names are unique. Throws Error(internal) for a row
/// that contradicts itself.
class ParameterTable {
 public:
  ParameterTable() = default;
  explicit ParameterTable(std::vector<ParameterSpec> rows);
  const std::vector<ParameterSpec>& rows() const noexcept { return rows_; }
  /// Null when there is no such name.
  const ParameterSpec* find(const std::string& name) const;
  std::int64_t elements() const;

 private:
  std::vector<ParameterSpec> rows_;
  std::map<std::string, std::size_t> index_;
};

/// A parameter as this rank holds it.
struct Parameter {
  ParameterSpec spec;
  at::Tensor value;        ///< this rank's slice, contiguous, a leaf; requires_grad() exactly when it is trained
  bool trainable() const { return value.requires_grad(); }
};

/// The parameters of this rank's pipeline stage, in table order. Addresses stay valid.
class ParameterSet {
 public:
  /// `extension`: what layers built from the set compute beside their own weights; may be null.
  explicit ParameterSet(std::vector<Parameter> parameters, std::shared_ptr<Extension> extension = nullptr);
  std::vector<Parameter>& all() noexcept { return parameters_; }
  const std::vector<Parameter>& all() const noexcept { return parameters_; }
  /// The tensor of a name this rank holds. Throws Error(internal) when it does not.
  at::Tensor at(const std::string& name) const;
  /// The same with its row of the table.
  const Parameter& parameter(const std::string& name) const;
  bool has(const std::string& name) const { return index_.contains(name); }
  const std::shared_ptr<Extension>& extension() const noexcept { return extension_; }

 private:
  std::vector<Parameter> parameters_;
  std::map<std::string, std::size_t> index_;
  std::shared_ptr<Extension> extension_;
};

}  // namespace retain::parallel
