// SPDX-License-Identifier: Apache-2.0
#include "models/vision/vit.h"

#include "models/layers/activation.h"
#include "parallel/collective_ops.h"

namespace retain::models {

using parallel::copy_to_tensor_group;

LayerNorm::LayerNorm(const parallel::ParameterSet& parameters, const std::string& prefix, double eps)
    : weight_H_(parameters.at(prefix + ".weight")), bias_H_(parameters.at(prefix + ".bias")), eps_(eps) {}

at::Tensor LayerNorm::forward(const at::Tensor& x_RH) const {
  return at::layer_norm(x_RH, {x_RH.size(-1)}, weight_H_, bias_H_, eps_);
}

VitLayer::VitLayer(const VisionConfig& config, const parallel::ParameterSet& parameters, const std::string& prefix,
                   parallel::Communicator& group)
    : heads_(local_heads(config.heads, config.heads, group.size(), group.rank())),
      head_size_(config.hidden / config.heads),
      activation_(config.activation),
      group_(&group),
      norm1_(parameters, prefix + ".layer_norm1", config.norm_eps),
      norm2_(parameters, prefix + ".layer_norm2", config.norm_eps),
      q_proj_(parameters, prefix + ".self_attn.q_proj", group),
      k_proj_(parameters, prefix + ".self_attn.k_proj", group),
      v_proj_(parameters, prefix + ".self_attn.v_proj", group),
      out_proj_(parameters, prefix + ".self_attn.out_proj", group),
      fc1_(parameters, prefix + ".mlp.fc1", group),
      fc2_(parameters, prefix + ".mlp.fc2", group) {}

at::Tensor VitLayer::forward(const at::Tensor& x_RH, const std::vector<std::int64_t>& starts) const {
  const at::Tensor attended_RH = attend(norm1_.forward(x_RH), starts).add_(x_RH);
  return transform(norm2_.forward(attended_RH)).add_(attended_RH);
}

at::Tensor VitLayer::attend(const at::Tensor& x_RH, const std::vector<std::int64_t>& starts) const {
  const at::Tensor shared_RH = copy_to_tensor_group(x_RH, *group_);
  const std::int64_t rows = x_RH.size(0), heads = heads_.query.size();
  const auto split = [&](const parallel::Linear& projection) {
    return projection.forward(shared_RH).view({rows, heads, head_size_});
  };
  const at::Tensor q = split(q_proj_), k = split(k_proj_), v = split(v_proj_);
  return out_proj_.forward(packed_attention(q, k, v, heads_.runs, starts, false).reshape({rows, heads * head_size_}));
}

at::Tensor VitLayer::transform(const at::Tensor& x_RH) const {
  return fc2_.forward(activate(activation_, fc1_.forward(copy_to_tensor_group(x_RH, *group_))));
}

}  // namespace retain::models
