// SPDX-License-Identifier: Apache-2.0
// Where something may be put beside a model's layers or in their place without their knowing what: adapters, experts.
// Shape suffixes: T tokens, I input features, O output features, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace retain::parallel {

class Communicator;
class ParameterSet;

/// What the rows of the decoder's input are.
struct PackedRows {
  std::vector<std::int64_t> starts;   ///< samples + 1 offsets into the packed tokens
  std::vector<std::int64_t> numbers;  ///< of each sample in the stage's data order; empty where nobody counts them
};

/// Brought along by a ParameterSet; layers built from that set ask it, once, what to compute with parameters they do not know.
class Extension {
 public:
  using Computation = std::function<at::Tensor(const at::Tensor&)>;

  virtual ~Extension() = default;

  /// [T,I] -> [T,O], added to the result of the linear layer `prefix`: to this rank's columns where the layer is column
  /// parallel, to its term before the sum over `group` where it is row parallel. Empty: nothing.
  virtual Computation beside_linear(const ParameterSet& parameters, const std::string& prefix, Communicator& group) const;
  /// [T,H] -> [T,H], computed instead of the MLP `prefix`, whose own result is own(x). Empty: the MLP itself.
  virtual Computation instead_of_mlp(const ParameterSet& parameters, const std::string& prefix, Communicator& group,
                                     Computation own) const;
  /// Before the decoder layers run on packed rows, and before any of them is run again for the backward pass.
  virtual void enter(const std::shared_ptr<const PackedRows>& rows);
};

}  // namespace retain::parallel
