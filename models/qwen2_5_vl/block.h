// SPDX-License-Identifier: Apache-2.0
// One block of Qwen2.5-VL's tower: attention within windows or whole frames with rotary positions over rows and
// columns, then a gated MLP, each after an RMS norm. Shape suffixes: R patches, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/layers/attention.h"
#include "models/layers/rotary.h"
#include "models/lmm/config.h"
#include "parallel/tensor/linear.h"

namespace retain::models::qwen2_5_vl {

/// The epsilon of every norm in tower and merger; no field of config.json says it.
inline constexpr double kNormEps = 1e-6;

class Block {
 public:
  /// `prefix` such as "vision.blocks.0"; `group` is the tensor group and outlives the block.
  Block(const VisionConfig& config, const parallel::ParameterSet& parameters, const std::string& prefix,
        parallel::Communicator& group);

  /// `starts`: offsets into R of what attends to itself.
  at::Tensor forward(const at::Tensor& x_RH, const RotaryTable& rotary, const std::vector<std::int64_t>& starts) const;

 private:
  at::Tensor attend(const at::Tensor& x_RH, const RotaryTable& rotary, const std::vector<std::int64_t>& starts) const;
  at::Tensor transform(const at::Tensor& x_RH) const;

  LocalHeads heads_;
  std::int64_t head_size_;
  parallel::Communicator* group_;
  at::Tensor norm1_H_, norm2_H_;
  parallel::Linear qkv_, proj_, gate_proj_, up_proj_, down_proj_;
};

}  // namespace retain::models::qwen2_5_vl
