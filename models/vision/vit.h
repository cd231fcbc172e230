// SPDX-License-Identifier: Apache-2.0
// A vision transformer over square tiles: patches, then pre-norm layers with full attention within each tile.
// Shape suffixes: N tiles, C channels, S tile side, P patches a tile, Q rows a tile, R = N·Q packed rows, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/layers/attention.h"
#include "models/lmm/config.h"
#include "parallel/tensor/linear.h"

namespace retain::models {

/// y = (x − mean) / sqrt(variance + eps) · weight + bias over the last dimension, with parameters
/// `prefix`.{weight,bias}.
class LayerNorm {
 public:
  LayerNorm(const parallel::ParameterSet& parameters, const std::string& prefix, double eps);
  at::Tensor forward(const at::Tensor& x_RH) const;

 private:
  at::Tensor weight_H_, bias_H_;
  double eps_;
};

/// One encoder layer: x + attention(norm1(x)), then x + mlp(norm2(x)); heads and MLP cut over the tensor group.
class VitLayer {
 public:
  /// `prefix` such as "vision.encoder.layers.0".
  VitLayer(const VisionConfig& config, const parallel::ParameterSet& parameters, const std::string& prefix,
           parallel::Communicator& group);

  /// `starts`: tiles + 1 offsets into R.
  at::Tensor forward(const at::Tensor& x_RH, const std::vector<std::int64_t>& starts) const;

 private:
  at::Tensor attend(const at::Tensor& x_RH, const std::vector<std::int64_t>& starts) const;
  at::Tensor transform(const at::Tensor& x_RH) const;

  LocalHeads heads_;
  std::int64_t head_size_;
  Activation activation_;
  parallel::Communicator* group_;
  LayerNorm norm1_, norm2_;
  parallel::Linear q_proj_, k_proj_, v_proj_, out_proj_, fc1_, fc2_;
};

/// A tile's patches, embedded: a convolution whose stride is its kernel, with or without a bias. Parameters
/// "vision.embeddings.patch_embedding".
class PatchEmbedding {
 public:
  PatchEmbedding(const VisionConfig& config, const parallel::ParameterSet& parameters);

  /// [N,P,H] of tiles_NCSS; pixels that do not fill a patch at the right and bottom are left out.
  /// Throws Error(data_invalid) for tiles of another size than the configuration's.
  at::Tensor forward(const at::Tensor& tiles_NCSS) const;

 private:
  VisionConfig config_;
  at::Tensor weight_, bias_H_;
};

/// The computed layers of a tower, "vision.encoder.layers.*".
class VitEncoder {
 public:
  VitEncoder(const VisionConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group);

  /// All computed layers, each tile's Q rows attending to one another.
  at::Tensor forward(const at::Tensor& x_NQH) const;

 private:
  std::vector<VitLayer> layers_;
};

}  // namespace retain::models
