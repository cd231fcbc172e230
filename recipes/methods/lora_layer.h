// SPDX-License-Identifier: Apache-2.0
// The adapters as layers compute them. Shape suffixes: T packed tokens, I input features, O output features, R rank.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "parallel/extension.h"
#include "parallel/parameter.h"

namespace retain::recipes {

class LoraExtension final : public parallel::Extension {
 public:
  LoraExtension(double scale, double dropout) : scale_(scale), state_(std::make_shared<State>()) { state_->dropout = dropout; }

  /// s·B·A·x where the set has an adapter for the layer; no message is needed beside the layer's own.
  Computation beside_linear(const parallel::ParameterSet& parameters, const std::string& prefix,
                            parallel::Communicator& group) const override;
  void enter(const std::shared_ptr<const parallel::PackedRows>& rows) override { state_->rows = rows; }

  /// Dropout happens while this is on.
  void train(bool on) { state_->training = on; }
  void seed(std::uint64_t seed) { state_->seed = seed; }

 private:
  struct State {
    std::shared_ptr<const parallel::PackedRows> rows;
    double dropout = 0;
    std::uint64_t seed = 0;
    bool training = false;
  };
  double scale_;
  std::shared_ptr<State> state_;  ///< shared with the computations
};

/// What dropout multiplies [T,I] with, 0 or 1/(1 − p): of a row of a sample it depends on the seed, the layer, the sample's
/// number, the row's place in it and the feature (`first_feature` on), whatever the packing and the mesh. p is rounded to
/// 1/65536.
at::Tensor dropout_mask(const parallel::PackedRows& rows, std::uint64_t seed, const std::string& layer, double p, parallel::Range features,
                        at::ScalarType type);

}  // namespace retain::recipes
