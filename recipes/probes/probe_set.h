// SPDX-License-Identifier: Apache-2.0
// An experiment's probes with their captions read, and their readings memoised in the store.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "recipes/records/loaded_records.h"
#include "recipes/study/stage_model.h"

namespace retain::recipes {

/// Weights that a probe looks at.
struct Probed {
  framework::json::object inputs;             ///< that name them, for the memo key
  std::string what;                           ///< for people: "stage 1234567890"
  std::function<models::Lmm&()> model;        ///< collective; asked only where a reading is not kept yet
  std::string began;                          ///< the stage they are, or began as
  std::set<std::string> changed = {};         ///< parameters that may have changed since
};

/// A reading as the store keeps it: the probe's result (recipes/probes) with its `probe` and `kind`.
struct KeptReading {
  std::string key;
  std::optional<double> value;                ///< the figure it comes down to, where it has one
};

class ProbeSet {
 public:
  /// Collective over the digests' world: reads the captions and finds the tokens of words and patterns, so that bad input stops before
  /// any work. The first two outlive this. Throws what load_records, tokens_of_words and tokens_of_pattern throw.
  ProbeSet(const Experiment& experiment, const ModelKit& kit, PictureDigests& pictures);

  /// Collective, before the first reading: finds the tokens of tasks. `base`: the base's stage.
  void prepare(const std::string& base, StageModel& model, parallel::ShardedStore& store);

  /// The probe of that name, which is one of the experiment's.
  std::size_t index_of(const std::string& name) const;
  std::size_t size() const noexcept { return probes_.size(); }
  const Probe& probe(std::size_t i) const { return probes_.at(i).probe; }
  /// Everything that decides a reading beside the weights.
  framework::json::object describe(std::size_t i) const;
  /// Collective.
  KeptReading read(std::size_t i, const Probed& probed, parallel::ShardedStore& store) const;
  /// Nothing where that reading is not kept. Collective.
  std::optional<KeptReading> find(std::size_t i, const framework::json::object& inputs, parallel::ShardedStore& store) const;

 private:
  struct Loaded {
    Probe probe;
    LoadedRecords captions;
    std::optional<LoadedRecords> taught = {};  ///< the task its tokens come from
    std::vector<std::int64_t> ids = {};
  };
  std::string key_of(std::size_t i, const framework::json::object& inputs) const;
  framework::json::object look(const Loaded& loaded, const Probed& probed, parallel::ShardedStore& store) const;

  const Experiment& experiment_;
  const ModelKit& kit_;
  std::vector<Loaded> probes_;
  std::string base_;
};

}  // namespace retain::recipes
