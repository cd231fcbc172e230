// SPDX-License-Identifier: Apache-2.0
// A linear layer as one tensor rank holds it. Shape suffixes: T tokens, I input features, O output features.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>

#include "parallel/comm/communicator.h"
#include "parallel/extension.h"
#include "parallel/parameter.h"

namespace retain::parallel {

/// y = x·Wᵀ + b with W [O,I] whole, cut along O (column parallel) or along I (row parallel), as its ParameterSpec says.
/// Cuts may be uneven or empty. Reference: Shoeybi et al. 2019 (Megatron-LM).
class Linear {
 public:
  Linear() = default;
  /// `prefix`.weight and, where the rank holds one, `prefix`.bias; beside them what the set's extension adds. `group`
  /// is the tensor group and outlives the layer. Throws Error(internal) when the parameters do not fit one another.
  Linear(const ParameterSet& parameters, const std::string& prefix, Communicator& group);

  /// Whole or row parallel: the whole y_TO, the same on all tensor ranks; a row-parallel layer takes this rank's slice of
  /// the features and adds the bias once, after the sum over the group.
  /// Column parallel: this rank's slice of the features of y; x must come out of copy_to_tensor_group, which one x may
  /// do once for several layers.
  at::Tensor forward(const at::Tensor& x_TI) const;

  bool is_column_parallel() const noexcept { return cut_dimension_ == 0; }
  bool is_row_parallel() const noexcept { return cut_dimension_ == 1; }
  const at::Tensor& weight() const noexcept { return weight_OI_; }
  bool trains() const { return weight_OI_.requires_grad() || (bias_O_.defined() && bias_O_.requires_grad()); }

 private:
  at::Tensor weight_OI_;
  at::Tensor bias_O_;  ///< undefined without one
  Extension::Computation beside_;  ///< empty without one
  int cut_dimension_ = -1;
  Communicator* group_ = nullptr;
};

}  // namespace retain::parallel
