// SPDX-License-Identifier: Apache-2.0
// The gradients of this rank's trained parameters over the micro-batches of one optimizer step.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "framework/base/dtype.h"
#include "parallel/parameter.h"

namespace retain::parallel {

/// Nothing exists for a parameter that is not trained. Accumulates in the parameters' own dtype (autograd's grad fields)
/// or, for bfloat16 parameters, in float32, so that many micro-batches lose nothing to rounding.
class Gradients {
 public:
  /// Takes the parameters that are trainable() now; `parameters` outlives this. `accumulate` is float32 or bfloat16;
  /// float32 parameters always accumulate in float32.
  Gradients(ParameterSet& parameters, framework::DType accumulate);
  ~Gradients();
  Gradients(const Gradients&) = delete;
  Gradients& operator=(const Gradients&) = delete;

  std::size_t size() const noexcept { return parameters_.size(); }
  /// In table order.
  const Parameter& parameter(std::size_t i) const { return *parameters_.at(i); }
  Parameter& parameter(std::size_t i) { return *parameters_.at(i); }
  /// The gradient so far, in the parameter's local shape; undefined when no micro-batch reached the parameter.
  at::Tensor get(std::size_t i) const;
  void set(std::size_t i, at::Tensor gradient);
  /// Frees all gradients.
  void clear();
  /// dtype that get(i) has.
  at::ScalarType type(std::size_t i) const;

 private:
  struct Accumulator;
  std::vector<Parameter*> parameters_;
  std::vector<std::unique_ptr<Accumulator>> accumulators_;  ///< null where the grad field serves
};

}  // namespace retain::parallel
