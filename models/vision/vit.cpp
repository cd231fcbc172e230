// SPDX-License-Identifier: Apache-2.0
// p: side of a patch; g: patches along a side of a tile (P = g²).
#include "models/vision/vit.h"

#include "framework/base/error.h"
#include "models/layers/activation.h"
#include "parallel/collective_ops.h"
#include "parallel/tensor/gemm.h"

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

PatchEmbedding::PatchEmbedding(const VisionConfig& config, const parallel::ParameterSet& parameters)
    : config_(config), weight_(parameters.at("vision.embeddings.patch_embedding.weight")) {
  if (config.patch_bias) bias_H_ = parameters.at("vision.embeddings.patch_embedding.bias");
}

at::Tensor PatchEmbedding::forward(const at::Tensor& tiles_NCSS) const {
  const std::vector<std::int64_t> expected{tiles_NCSS.dim() > 0 ? tiles_NCSS.size(0) : 0, config_.channels,
                                           config_.image_size, config_.image_size};
  if (tiles_NCSS.sizes() != expected)
    throw framework::Error(framework::ErrorKind::data_invalid,
                           {"an image's tiles do not fit the vision tower", framework::to_string(expected),
                            framework::to_string(tiles_NCSS.sizes().vec()),
                            "preprocess images with the model's own preprocessor_config.json"});
  const std::int64_t tiles = tiles_NCSS.size(0), grid = config_.grid(), patch = config_.patch_size;
  const at::Tensor patches = tiles_NCSS.narrow(2, 0, grid * patch)
                                 .narrow(3, 0, grid * patch)
                                 .reshape({tiles, config_.channels, grid, patch, grid, patch})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({tiles * grid * grid, config_.channels * patch * patch})
                                 .to(weight_.scalar_type());
  return parallel::apply_linear(patches, weight_.flatten(1), bias_H_).view({tiles, grid * grid, config_.hidden});
}

VitEncoder::VitEncoder(const VisionConfig& config, const parallel::ParameterSet& parameters,
                       parallel::Communicator& group) {
  layers_.reserve(static_cast<std::size_t>(config.computed_layers()));
  for (std::int64_t layer = 0; layer < config.computed_layers(); ++layer)
    layers_.emplace_back(config, parameters, "vision.encoder.layers." + std::to_string(layer), group);
}

at::Tensor VitEncoder::forward(const at::Tensor& x_NQH) const {
  const std::int64_t tiles = x_NQH.size(0), rows = x_NQH.size(1);
  std::vector<std::int64_t> starts(static_cast<std::size_t>(tiles) + 1);
  for (std::size_t i = 0; i < starts.size(); ++i) starts[i] = static_cast<std::int64_t>(i) * rows;
  at::Tensor hidden_RH = x_NQH.flatten(0, 1);
  for (const VitLayer& layer : layers_) hidden_RH = layer.forward(hidden_RH, starts);
  return hidden_RH.view_as(x_NQH);
}

}  // namespace retain::models
