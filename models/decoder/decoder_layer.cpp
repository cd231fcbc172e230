// SPDX-License-Identifier: Apache-2.0
// N: local query heads, K: local key-value heads, D: head size.
#include "models/decoder/decoder_layer.h"

#include "framework/base/error.h"
#include "models/layers/kv_cache.h"
#include "models/layers/rms_norm.h"
#include "parallel/collective_ops.h"

namespace retain::models {

using parallel::copy_to_tensor_group;

DecoderLayer::DecoderLayer(const TextConfig& config, const parallel::ParameterSet& parameters, const std::string& prefix,
                           parallel::Communicator& group)
    : norm_eps_(config.norm_eps),
      head_size_(config.head_size),
      heads_(local_heads(config.heads, config.kv_heads, group.size(), group.rank())),
      group_(&group),
      input_norm_H_(parameters.at(prefix + ".input_layernorm.weight")),
      post_attention_norm_H_(parameters.at(prefix + ".post_attention_layernorm.weight")),
      q_proj_(parameters, prefix + ".self_attn.q_proj", group),
      k_proj_(parameters, prefix + ".self_attn.k_proj", group),
      v_proj_(parameters, prefix + ".self_attn.v_proj", group),
      o_proj_(parameters, prefix + ".self_attn.o_proj", group),
      mlp_([mlp = GatedMlp(parameters, prefix + ".mlp", group)](const at::Tensor& x_TH) { return mlp.forward(x_TH); }) {
  if (const auto& extension = parameters.extension())
    if (auto other = extension->instead_of_mlp(parameters, prefix + ".mlp", group, mlp_)) mlp_ = std::move(other);
  for (const parallel::Parameter& parameter : parameters.all())
    if (parameter.spec.name.starts_with(prefix + ".")) weights_.push_back(parameter.value);
  if (q_proj_.weight().size(0) != heads_.query.size() * head_size_ ||
      k_proj_.weight().size(0) != heads_.key_value.size() * head_size_)
    throw framework::Error(framework::ErrorKind::internal,
                           "the slices of " + prefix + ".self_attn hold other heads than the layer computes");
  if (config.activation != Activation::silu)
    throw framework::Error(framework::ErrorKind::config_unsupported,
                           {"the decoder's MLP is gated with silu only", "hidden_act \"silu\"", "another activation", ""});
}

at::Tensor DecoderLayer::forward(const at::Tensor& hidden_TH, const DecoderPass& pass) const {
  // The sum goes into the fresh output of the last linear, which autograd does not keep.
  const auto add_to = [&](const at::Tensor& residual_TH, Block block, at::Tensor out_TH) {
    if (pass.observer) (*pass.observer)(pass.layer, block, out_TH);
    return out_TH.add_(residual_TH);
  };
  const at::Tensor residual_TH = pass.ends ? pass.ends->of(hidden_TH) : hidden_TH;
  const at::Tensor attended_TH = add_to(residual_TH, Block::attention, attend(rms_norm(hidden_TH, input_norm_H_, norm_eps_), pass));
  return add_to(attended_TH, Block::mlp, mlp_(rms_norm(attended_TH, post_attention_norm_H_, norm_eps_)));
}

at::Tensor DecoderLayer::attend(const at::Tensor& x_TH, const DecoderPass& pass) const {
  const at::Tensor shared_TH = copy_to_tensor_group(x_TH, *group_);
  const auto heads = [&](const parallel::Linear& projection, const at::Tensor& rows_TH, std::int64_t count) {
    return projection.forward(rows_TH).view({rows_TH.size(0), count, head_size_});
  };
  const at::Tensor q_TND = pass.ends ? rotate(heads(q_proj_, pass.ends->of(shared_TH), heads_.query.size()), pass.ends->rotary)
                                     : rotate(heads(q_proj_, shared_TH, heads_.query.size()), pass.rotary);
  const at::Tensor k_TKD = rotate(heads(k_proj_, shared_TH, heads_.key_value.size()), pass.rotary);
  const at::Tensor v_TKD = heads(v_proj_, shared_TH, heads_.key_value.size());
  return o_proj_.forward(attention(q_TND, k_TKD, v_TKD, pass).flatten(1));
}

at::Tensor DecoderLayer::attention(const at::Tensor& q_TND, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                                   const DecoderPass& pass) const {
  if (pass.cache) {
    const auto [k_BSKD, v_BSKD] = pass.cache->append(pass.cache_layer, k_TKD, v_TKD);
    if (pass.ends || !pass.cache->is_prefill()) return last_token_attention(q_TND, k_BSKD, v_BSKD, heads_.runs, pass.cache->filled());
  }
  return packed_attention(q_TND, k_TKD, v_TKD, heads_.runs, pass.starts, true);
}

std::vector<at::Tensor> DecoderLayer::trained() const {
  std::vector<at::Tensor> found;
  std::copy_if(weights_.begin(), weights_.end(), std::back_inserter(found),
               [](const at::Tensor& weight) { return weight.requires_grad(); });
  return found;
}

}  // namespace retain::models
