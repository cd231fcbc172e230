// SPDX-License-Identifier: Apache-2.0
// The answers that a run has kept in its store's results, as the report needs them.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/report/study.h"
#include "framework/statistics/bootstrap.h"
#include "framework/store/store.h"

namespace retain::framework {

/// One benchmark on one stage.
struct KeptEvaluation {
  std::string key;                      ///< of the result
  std::string metric;
  double score = 0;                     ///< 0 to 1
  std::vector<double> scores;           ///< by sample; NaN: left out
  std::vector<std::string> categories;  ///< by sample, where the figure is a mean over categories; else empty
  std::string questions;                ///< digest of the samples' ids and references: equal ones can be paired
};

struct KeptAnswer {
  std::string id;
  std::string question;    ///< empty where the benchmark keeps none
  std::string prediction;
  std::vector<std::string> references;
  double score = 0;        ///< NaN: left out
};

class KeptAnswers {
 public:
  /// Nothing kept.
  KeptAnswers() = default;
  /// Reads every evaluation; texts stay in the store until asked for. Evaluations without answers (older runs) are left out.
  /// Throws Error(store_digest), Error(store_invalid) for a damaged one.
  explicit KeptAnswers(const Store& store);

  /// The evaluation behind a figure of the study; null when its answers are not kept.
  const KeptEvaluation* find(const StudyBenchmark& benchmark, const StudyPoint& point) const;
  std::vector<KeptAnswer> texts(const KeptEvaluation& evaluation) const;

 private:
  std::optional<Store> store_;
  std::map<std::pair<std::string, std::string>, std::vector<KeptEvaluation>> by_stage_;  ///< (stage, benchmark)
};

/// Adds the per-sample changes from one evaluation to another, weighing `weight` together. False, and nothing added, where
/// either is null or they answer other questions.
bool add_changes(std::vector<Stratum>& strata, const KeptEvaluation* earlier, const KeptEvaluation* later, double weight);

}  // namespace retain::framework
