// SPDX-License-Identifier: Apache-2.0
// From the tower's features to visual tokens: squares of patches side by side through a two-layer MLP.
// Shape suffixes: R patches, F features of the tower, U merged squares, H decoder's hidden size.
#pragma once
#include <ATen/core/Tensor.h>

#include "models/lmm/config.h"
#include "parallel/tensor/linear.h"

namespace retain::models::qwen2_5_vl {

class Merger {
 public:
  /// Parameters "projector.ln_q", "projector.mlp.0" and "projector.mlp.2"; `group` is the tensor group and outlives
  /// this.
  Merger(const LmmConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group);

  /// mlp.2(gelu(mlp.0(norm(x_RF) joined by squares))), [U,H], in the order of x_RF.
  at::Tensor forward(const at::Tensor& x_RF) const;

 private:
  std::int64_t square_;
  parallel::Communicator* group_;
  at::Tensor norm_F_;
  parallel::Linear linear_1_, linear_2_;
};

}  // namespace retain::models::qwen2_5_vl
