// SPDX-License-Identifier: Apache-2.0
// Everything a run needs to go on in the middle of a stage: trained weights, optimizer state, position in the data. Random
// streams are functions of the seed and the position, so the position carries them.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "models/lmm/lmm.h"
#include "recipes/train_step.h"

namespace retain::recipes {

/// One tensor of a checkpoint: a row like a parameter's, with the name it has in the checkpoint, and this rank's slice.
struct StateTensor {
  parallel::ParameterSpec spec;      ///< e.g. "training/first_moment/language.norm.weight", of global shape
  std::function<at::Tensor()> read;  ///< this rank's slice; collective over the data group when ZeRO-1 is on, so every rank
                                     ///< calls it once for each tensor it lists, in order
};

/// Reads this rank's slice of a checkpoint tensor.
using StateReader = std::function<at::Tensor(const parallel::ParameterSpec&)>;

class TrainState {
 public:
  /// Both outlive this.
  TrainState(models::Lmm& model, TrainStep& step) : model_(model), step_(step) {}

  /// Weights under their canonical names, then moments and masters under "training/…". Only what this rank holds.
  std::vector<StateTensor> tensors();
  /// The rows of all checkpoint tensors of the model, on every pipeline stage alike, in a fixed order.
  std::vector<parallel::ParameterSpec> rows(const std::vector<Selected>& selected) const;
  /// Collective over the world: update counts of all parameters and `next_step`, the same on every rank.
  framework::json::object describe(std::int64_t next_step);

  /// Puts a checkpoint back, written on this or another mesh. Returns its next_step. Throws Error(store_invalid) when the
  /// description lacks something.
  std::int64_t restore(const framework::json::object& description, const StateReader& read);

 private:
  models::Lmm& model_;
  TrainStep& step_;
};

}  // namespace retain::recipes
