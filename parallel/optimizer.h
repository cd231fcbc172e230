// SPDX-License-Identifier: Apache-2.0
// AdamW over the trained parameters, equal to torch.optim.AdamW; state exists for what is trained and nothing else.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/dtype.h"
#include "parallel/data_parallel.h"
#include "parallel/gradients.h"
#include "parallel/optimizer_kernels.h"

namespace retain::parallel {

struct AdamWSettings {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;      ///< decoupled; not for biases and norms (decays())
  bool master_weights = true;   ///< keep a float32 copy of bfloat16 parameters; float32 parameters are their own
  framework::DType moments = framework::DType::float32;  ///< or bfloat16 (only sensible without master weights)
  bool operator==(const AdamWSettings&) const = default;
};

/// Whether weight decay applies to a parameter: not to biases, nor to weights of normalisation layers.
bool decays(const std::string& canonical_name);

/// Bytes of optimizer state per element of a parameter of `dtype`.
std::int64_t optimizer_bytes_per_element(const AdamWSettings& settings, framework::DType dtype);

class Optimizer {
 public:
  enum class State { first_moment, second_moment, master };

  /// State for what this rank updates, as `reducer` lays it out: moments zero, masters copies of the parameters.
  /// `gradients` outlives this. Memory is taken here, not in the first step.
  Optimizer(Gradients& gradients, const GradientReducer& reducer, AdamWSettings settings);

  /// One update in place. Each gradient is multiplied by `scale` first. learning_rates[i] belongs to
  /// gradients.parameter(i). A parameter without a gradient is left alone, its update count too.
  void step(const ReducedGradients& reduced, double scale, const std::vector<double>& learning_rates);

  /// Parameter i's state, flat, for GradientReducer::share(i) of its slice; undefined where there is no master.
  /// The memory is the optimizer's own.
  const at::Tensor& state(std::size_t i, State kind) const;
  /// Updates parameter i has had.
  std::int64_t updates(std::size_t i) const { return updates_.at(i); }
  void set_updates(std::size_t i, std::int64_t updates) { updates_.at(i) = updates; }
  std::int64_t bytes() const;
  const AdamWSettings& settings() const noexcept { return settings_; }

 private:
  struct ParameterState {
    Range share;                       ///< of the flattened slice
    at::Tensor first, second, master;  ///< flat, of the share's length
  };
  AdamWUpdate update_of(std::size_t i, double scale, double learning_rate) const;

  Gradients& gradients_;
  std::vector<ParameterPiece> layout_;
  AdamWSettings settings_;
  std::vector<ParameterState> states_;  ///< one a parameter
  std::vector<std::int64_t> updates_;   ///< one a parameter
};

/// Kinds of state kept for a parameter of `dtype`.
std::vector<Optimizer::State> optimizer_states(const AdamWSettings& settings, framework::DType dtype);

}  // namespace retain::parallel
