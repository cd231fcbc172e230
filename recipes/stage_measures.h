// SPDX-License-Identifier: Apache-2.0
// What is measured of a stage: every benchmark and every probe, each memoised in the store by its inputs.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "framework/report/study.h"
#include "recipes/evaluator.h"
#include "recipes/loaded_records.h"
#include "recipes/stage_model.h"

namespace retain::recipes {

class StageMeasures {
 public:
  /// Collective over the digests' world: reads every question and caption, so that bad input stops before any work. The first two
  /// outlive this. Throws what load_records, read_questions and number_tokens throw.
  StageMeasures(const Experiment& experiment, const ModelKit& kit, PictureDigests& pictures);

  /// As a study names them.
  std::vector<framework::StudyBenchmark> benchmarks() const;

  /// Collective: the stage that taught `task`, computing as `reading` says. The model is loaded only where a figure is not kept yet.
  framework::StudyPoint measure(const std::string& stage, const std::string& task, const std::string& reading, StageModel& model,
                                parallel::ShardedStore& store) const;

 private:
  struct Questions {
    Benchmark benchmark;
    std::vector<Question> questions;
    DataIdentity identity;
  };
  struct Captions {
    Probe probe;
    LoadedRecords records;
  };
  /// A stage as it is measured.
  struct Measured {
    const std::string& stage;
    const std::string& reading;
    StageModel& model;
    parallel::ShardedStore& store;
  };

  /// Inputs of every measure of this stage on this data.
  framework::json::object inputs_of(const Measured& measured, const DataIdentity& data, std::int64_t limit) const;
  double evaluate_stage(const Measured& measured, const Questions& questions) const;
  double probe_stage(const Measured& measured, const Captions& captions) const;

  const Experiment& experiment_;
  const ModelKit& kit_;
  std::vector<Questions> benchmarks_;
  std::vector<Captions> probes_;
  std::vector<std::int64_t> number_ids_;
};

}  // namespace retain::recipes
