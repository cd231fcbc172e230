// SPDX-License-Identifier: Apache-2.0
#include "parallel/tensor/linear.h"

#include "framework/base/error.h"
#include "parallel/collective_ops.h"
#include "parallel/tensor/gemm.h"

namespace retain::parallel {

Linear::Linear(const ParameterSet& parameters, const std::string& prefix, Communicator& group) : group_(&group) {
  const Parameter& weight = parameters.parameter(prefix + ".weight");
  weight_OI_ = weight.value;
  cut_dimension_ = group.size() == 1 ? -1 : weight.spec.cut_dimension;
  if (parameters.extension()) beside_ = parameters.extension()->beside_linear(parameters, prefix, group);
  if (!parameters.has(prefix + ".bias")) return;
  const Parameter& bias = parameters.parameter(prefix + ".bias");
  bias_O_ = bias.value;
  const int expected_cut = is_column_parallel() ? 0 : -1;
  if (bias_O_.size(0) != weight_OI_.size(0) || (group.size() > 1 && bias.spec.cut_dimension != expected_cut))
    throw framework::Error(framework::ErrorKind::internal, "the slices of " + prefix + ".weight and .bias do not fit");
}

at::Tensor Linear::forward(const at::Tensor& x_TI) const {
  at::Tensor y_TO = apply_linear(x_TI, weight_OI_, is_row_parallel() ? at::Tensor() : bias_O_);
  if (beside_) y_TO.add_(beside_(x_TI));
  if (!is_row_parallel()) return y_TO;
  y_TO = reduce_from_tensor_group(y_TO, *group_);
  return bias_O_.defined() ? y_TO.add_(bias_O_) : y_TO;
}

}  // namespace retain::parallel
