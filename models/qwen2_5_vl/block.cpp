// SPDX-License-Identifier: Apache-2.0
// N: local heads, D: head size.
#include "models/qwen2_5_vl/block.h"

#include "models/layers/activation.h"
#include "models/layers/rms_norm.h"
#include "parallel/collective_ops.h"

namespace retain::models::qwen2_5_vl {

using parallel::copy_to_tensor_group;

Block::Block(const VisionConfig& config, const parallel::ParameterSet& parameters, const std::string& prefix,
             parallel::Communicator& group)
    : heads_(local_heads(config.heads, config.heads, group.size(), group.rank())),
      head_size_(config.hidden / config.heads),
      group_(&group),
      norm1_H_(parameters.at(prefix + ".norm1.weight")),
      norm2_H_(parameters.at(prefix + ".norm2.weight")),
      qkv_(parameters, prefix + ".attn.qkv", group),
      proj_(parameters, prefix + ".attn.proj", group),
      gate_proj_(parameters, prefix + ".mlp.gate_proj", group),
      up_proj_(parameters, prefix + ".mlp.up_proj", group),
      down_proj_(parameters, prefix + ".mlp.down_proj", group) {}

at::Tensor Block::forward(const at::Tensor& x_RH, const RotaryTable& rotary,
                          const std::vector<std::int64_t>& starts) const {
  const at::Tensor attended_RH = attend(rms_norm(x_RH, norm1_H_, kNormEps), rotary, starts).add_(x_RH);
  return transform(rms_norm(attended_RH, norm2_H_, kNormEps)).add_(attended_RH);
}

at::Tensor Block::attend(const at::Tensor& x_RH, const RotaryTable& rotary,
                         const std::vector<std::int64_t>& starts) const {
  const std::int64_t rows = x_RH.size(0), heads = heads_.query.size();
  const at::Tensor qkv_R3ND = qkv_.forward(copy_to_tensor_group(x_RH, *group_)).view({rows, 3, heads, head_size_});
  const at::Tensor q_RND = rotate(qkv_R3ND.select(1, 0), rotary), k_RND = rotate(qkv_R3ND.select(1, 1), rotary);
  const at::Tensor out_RND = packed_attention(q_RND, k_RND, qkv_R3ND.select(1, 2), heads_.runs, starts, false);
  return proj_.forward(out_RND.reshape({rows, heads * head_size_}));
}

at::Tensor Block::transform(const at::Tensor& x_RH) const {
  const at::Tensor shared_RH = copy_to_tensor_group(x_RH, *group_);
  return down_proj_.forward(swiglu(gate_proj_.forward(shared_RH), up_proj_.forward(shared_RH)));
}

}  // namespace retain::models::qwen2_5_vl
