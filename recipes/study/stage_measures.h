// SPDX-License-Identifier: Apache-2.0
// What is measured of a stage: every benchmark and every probe, each memoised in the store by its inputs.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framework/report/study.h"
#include "recipes/evaluation/evaluator.h"
#include "recipes/probes/probe_set.h"
#include "recipes/records/loaded_records.h"
#include "recipes/study/stage_model.h"

namespace retain::recipes {

class StageMeasures {
 public:
  /// Collective over the digests' world: reads every question and caption, so that bad input stops before any work. The first two
  /// outlive this. Throws what load_records, read_questions and ProbeSet throw.
  StageMeasures(const Experiment& experiment, const ModelKit& kit, PictureDigests& pictures);

  /// Collective: the score (0 to 1) of `model` on the first `limit` questions of a benchmark (0: all that it has). `inputs` name the
  /// weights, for the memo key.
  double panel(const std::string& benchmark, std::int64_t limit, const framework::json::object& inputs, models::Lmm& model,
               parallel::ShardedStore& store) const;
  /// What decides a panel's score beside the weights.
  framework::json::object describe_panel(const std::string& benchmark, std::int64_t limit) const;

  const ProbeSet& probes() const noexcept { return probes_; }
  ProbeSet& probes() noexcept { return probes_; }

  /// As a study names them.
  std::vector<framework::StudyBenchmark> benchmarks() const;

  /// Collective: the stage that taught `task`, computing as `reading` says. The model is loaded only where a figure is not kept yet.
  /// `heed` is called on all ranks before every piece of that work; what it throws there on all alike ends it, the figures so far kept.
  framework::StudyPoint measure(const std::string& stage, const std::string& task, const std::string& reading, StageModel& model,
                                parallel::ShardedStore& store, const std::function<void()>& heed) const;

 private:
  struct Questions {
    Benchmark benchmark;
    std::vector<Question> questions;
    DataIdentity identity;
  };
  /// A stage as it is measured.
  struct Measured {
    const std::string& stage;
    const std::string& reading;
    StageModel& model;
    parallel::ShardedStore& store;
    const std::function<void()>& heed;
  };

  double evaluate_stage(const Measured& measured, const Questions& questions) const;
  const Questions& questions_of(const std::string& benchmark) const;
  void probe_stage(const Measured& measured, framework::StudyPoint& point) const;

  const Experiment& experiment_;
  const ModelKit& kit_;
  std::vector<Questions> benchmarks_;
  ProbeSet probes_;
};

}  // namespace retain::recipes
