// SPDX-License-Identifier: Apache-2.0
// What a study measured, and the paper's figures made from it.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/json.h"

namespace retain::framework {

/// What a benchmark counts for: learning, forgetting, or nothing: an extra is measured and shown, and enters no mean.
enum class BenchmarkKind : std::uint8_t { target, held_out, extra };
/// "target", "held_out", "extra".
const char* name_of(BenchmarkKind kind);

/// A column of the stage × benchmark matrix.
struct StudyBenchmark {
  std::string name;
  std::string metric;
  std::string task;        ///< of a target benchmark; empty: it belongs to none
  std::int64_t samples = 0;
  bool extra = false;      ///< of one without a task
  BenchmarkKind kind() const { return !task.empty() ? BenchmarkKind::target : extra ? BenchmarkKind::extra : BenchmarkKind::held_out; }
};
std::vector<const StudyBenchmark*> benchmarks_of(const std::vector<StudyBenchmark>& benchmarks, BenchmarkKind kind);

/// What probes read of the weights inside a stage.
struct StudyStep {
  std::int64_t step = 0;                      ///< optimizer steps done since the stage began
  std::map<std::string, double> probes = {};  ///< probe → its figure
  std::map<std::string, std::string> readings = {};  ///< probe → key of the store's result that holds all of it
};

/// A row: what was measured of one stage (or of the base).
struct StudyPoint {
  std::string task;                      ///< taught in this stage; empty for the base
  std::string stage;                     ///< stage id in the store
  std::map<std::string, double> scores;  ///< benchmark → mean score, 0 to 1
  std::map<std::string, double> probes;  ///< probe → its figure (recipes/probes); one that has none is in `readings` alone
  std::map<std::string, std::string> readings = {};  ///< probe → key of the store's result that holds all of it
  std::vector<StudyStep> steps = {};     ///< inside the stage, ascending
  std::int64_t last_step = 0;            ///< optimizer steps of the stage; 0: unknown
};

/// What a branch was taught with, all its stages together.
struct Budget {
  std::string global_batch;              ///< records an optimizer step; stages that differ joined by "/"
  std::int64_t steps = 0;                ///< optimizer steps
  std::int64_t tokens = 0;               ///< packed tokens seen, pictures expanded; 0: unknown
};

/// One recipe's branch in one order with one seed, stages in teaching order.
struct StudyBranch {
  std::string recipe;                    ///< the same in all orders and seeds
  std::int64_t trained = 0;              ///< parameters
  std::vector<StudyPoint> stages;
  std::string order = {};                ///< name of the order its tasks came in; empty: the only one
  std::optional<std::int64_t> seed = {};  ///< where the study has several
  std::string name = {};                 ///< tells branches of one recipe apart; empty: the recipe
  Budget budget = {};
  const std::string& label() const { return name.empty() ? recipe : name; }
};

struct Study {
  std::string title;
  std::string mode;                      ///< clean or faithful
  std::int64_t parameters = 0;
  std::vector<StudyBenchmark> benchmarks;
  StudyPoint base;
  std::vector<StudyBranch> branches;
};

/// Percentage points against the base (arXiv 2510.08564). NaN where nothing of the kind was measured.
struct Measures {
  double target_learning;     ///< mean over tasks: after its own stage − base
  double target_forgetting;   ///< mean over tasks: after the last stage − after its own stage
  double target_overall;      ///< mean over tasks: after the last stage − base
  double held_out_forgetting; ///< mean over held-out benchmarks: after the last stage − base
};
Measures measure(const Study& study, const StudyBranch& branch);

/// A point's score, 0 to 1; NaN where it was not measured.
double score_of(const StudyPoint& point, const std::string& benchmark);
/// The stage that taught a task; null when none did.
const StudyPoint* stage_of_task(const StudyBranch& branch, const std::string& task);

/// Mean held-out score of a point, 0 to 1; NaN without held-out benchmarks.
double held_out_mean(const Study& study, const StudyPoint& point);

json::value to_json(const Study& study);
/// Throws Error(store_invalid) naming `origin` when a field is missing or of another type.
Study study_from_json(const json::value& value, const std::string& origin);

/// The measures of all branches as a text table for a terminal.
std::string measures_table(const Study& study);

}  // namespace retain::framework
