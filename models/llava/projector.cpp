// SPDX-License-Identifier: Apache-2.0
#include "models/llava/projector.h"

#include "models/layers/activation.h"
#include "parallel/collective_ops.h"

namespace retain::models::llava {

Projector::Projector(const LmmConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group)
    : activation_(config.projector_activation),
      group_(&group),
      linear_1_(parameters, "projector.linear_1", group),
      linear_2_(parameters, "projector.linear_2", group) {}

at::Tensor Projector::forward(const at::Tensor& x_NPF) const {
  const at::Tensor x_RF = x_NPF.flatten(0, 1);
  const at::Tensor shared_RF = linear_1_.is_column_parallel() ? parallel::copy_to_tensor_group(x_RF, *group_) : x_RF;
  return linear_2_.forward(activate(activation_, linear_1_.forward(shared_RF))).unflatten(0, {x_NPF.size(0), x_NPF.size(1)});
}

}  // namespace retain::models::llava
