// SPDX-License-Identifier: Apache-2.0
// Everything a run needs to go on in the middle of a stage: trained weights, optimizer state, position in the data. Random
// streams are functions of the seed and the position, so the position carries them.
#pragma once
#include <cstdint>
#include <vector>

#include "framework/base/json.h"
#include "models/lmm/lmm.h"
#include "parallel/sharded_store.h"
#include "recipes/training/train_step.h"

namespace retain::recipes {

class TrainState {
 public:
  /// All outlive this.
  TrainState(models::Lmm& model, TrainStep& step, const std::vector<Selected>& selected)
      : model_(model), step_(step), selected_(selected) {}

  /// "tensors/<name>", then "optimizer/{first_moment,second_moment,master}/<name>". The same list on every rank; the
  /// tensors share the trainer's memory, so reading into them restores it.
  std::vector<parallel::ShardedArray> arrays() const;
  /// Collective over the world: update counts of all parameters and `next_step`, the same on every rank.
  framework::json::object describe(std::int64_t next_step) const;
  /// Puts update counts back and returns next_step. Throws Error(store_invalid) when something is missing.
  std::int64_t restore(const framework::json::object& description);

 private:
  models::Lmm& model_;
  TrainStep& step_;
  const std::vector<Selected>& selected_;
};

}  // namespace retain::recipes
