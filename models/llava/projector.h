// SPDX-License-Identifier: Apache-2.0
// The "mlp2x_gelu" projector of LLaVA: vision features to the decoder's hidden size.
// Shape suffixes: N tiles, P patches a tile, F features of the tower, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include "models/lmm/config.h"
#include "parallel/tensor/linear.h"

namespace retain::models::llava {

class Projector {
 public:
  /// Parameters "projector.linear_1" and "projector.linear_2", whole on every rank or cut column then row.
  Projector(const LmmConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group);

  /// linear_2(activation(linear_1(x_NPF))), [N,P,H].
  at::Tensor forward(const at::Tensor& x_NPF) const;

 private:
  Activation activation_;
  parallel::Communicator* group_;
  parallel::Linear linear_1_, linear_2_;
};

}  // namespace retain::models::llava
