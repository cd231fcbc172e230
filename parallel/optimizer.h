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

  /// State for the pieces of `layout` (GradientReducer::layout()), zero-initialised; masters copy the parameters.
  /// `gradients` outlives this. Memory is taken here, not in the first step.
  Optimizer(Gradients& gradients, std::vector<ParameterPiece> layout, AdamWSettings settings);

  /// One update in place. Each gradient is multiplied by `scale` first. learning_rates[i] belongs to
  /// gradients.parameter(i). A parameter without a gradient is left alone, its update count too.
  void step(const ReducedGradients& reduced, double scale, const std::vector<double>& learning_rates);

  /// Kinds of state held for parameter i.
  std::vector<State> kinds(std::size_t i) const;
  /// A copy of parameter i's state in its local shape, float32. Collective over `data` when `sharded`.
  at::Tensor state(std::size_t i, State kind, Communicator& data, bool sharded) const;
  /// Takes this rank's pieces from a whole local slice.
  void set_state(std::size_t i, State kind, const at::Tensor& local);
  /// Parameters as of their masters, after set_state(); this rank's pieces only.
  void write_back_masters();
  /// Updates parameter i has had.
  std::int64_t updates(std::size_t i) const { return updates_.at(i); }
  void set_updates(std::size_t i, std::int64_t updates) { updates_.at(i) = updates; }
  std::int64_t bytes() const;
  const AdamWSettings& settings() const noexcept { return settings_; }

 private:
  struct PieceState {
    at::Tensor first, second, master;  ///< flat, of the piece's length; master may be undefined
  };
  const at::Tensor& tensor(const PieceState& state, State kind) const;
  at::Tensor parameter_part(const ParameterPiece& piece) const;
  AdamWUpdate update_of(std::size_t i, double scale, double learning_rate) const;

  Gradients& gradients_;
  std::vector<ParameterPiece> layout_;
  AdamWSettings settings_;
  std::vector<PieceState> states_;      ///< one a piece
  std::vector<std::int64_t> updates_;   ///< one a parameter
};

}  // namespace retain::parallel
