// SPDX-License-Identifier: Apache-2.0
// The decoder's MLP, down(silu(gate(x)) · up(x)), cut over its width. Shape suffixes: T packed tokens, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>

#include "parallel/tensor/linear.h"

namespace retain::models {

class GatedMlp {
 public:
  /// `prefix`.{gate,up,down}_proj; `group` is the tensor group and outlives the layer.
  GatedMlp(const parallel::ParameterSet& parameters, const std::string& prefix, parallel::Communicator& group);

  /// The whole result, the same on all tensor ranks, in memory of its own.
  at::Tensor forward(const at::Tensor& x_TH) const;

 private:
  parallel::Communicator* group_;
  parallel::Linear gate_proj_, up_proj_, down_proj_;
};

}  // namespace retain::models
