// SPDX-License-Identifier: Apache-2.0
// I: local features of the MLP.
#include "models/layers/gated_mlp.h"

#include "models/layers/activation.h"
#include "parallel/collective_ops.h"

namespace retain::models {

GatedMlp::GatedMlp(const parallel::ParameterSet& parameters, const std::string& prefix, parallel::Communicator& group)
    : group_(&group),
      gate_proj_(parameters, prefix + ".gate_proj", group),
      up_proj_(parameters, prefix + ".up_proj", group),
      down_proj_(parameters, prefix + ".down_proj", group) {}

at::Tensor GatedMlp::forward(const at::Tensor& x_TH) const {
  const at::Tensor shared_TH = parallel::copy_to_tensor_group(x_TH, *group_);
  const at::Tensor gated_TI = swiglu(gate_proj_.forward(shared_TH), up_proj_.forward(shared_TH));
  return down_proj_.forward(gated_TI);
}

}  // namespace retain::models
