// SPDX-License-Identifier: Apache-2.0
#include "models/qwen2_5_vl/merger.h"

#include "models/layers/activation.h"
#include "models/layers/rms_norm.h"
#include "models/qwen2_5_vl/block.h"
#include "parallel/collective_ops.h"

namespace retain::models::qwen2_5_vl {

Merger::Merger(const LmmConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group)
    : square_(config.vision.windowed->merge * config.vision.windowed->merge),
      group_(&group),
      norm_F_(parameters.at("projector.ln_q.weight")),
      linear_1_(parameters, "projector.mlp.0", group),
      linear_2_(parameters, "projector.mlp.2", group) {}

at::Tensor Merger::forward(const at::Tensor& x_RF) const {
  const at::Tensor joined = rms_norm(x_RF, norm_F_, kNormEps).view({x_RF.size(0) / square_, square_ * x_RF.size(1)});
  return linear_2_.forward(
      activate(Activation::gelu_erf, linear_1_.forward(parallel::copy_to_tensor_group(joined, *group_))));
}

}  // namespace retain::models::qwen2_5_vl
