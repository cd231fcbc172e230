// SPDX-License-Identifier: Apache-2.0
// What a benchmark gave: every sample's answer with what it was held against, so that it can be scored again without a model.
#pragma once
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/metrics/average.h"
#include "framework/metrics/metric.h"

namespace retain::recipes {

/// By what rule answers are scored.
struct Scoring {
  std::string metric = "exact_match";
  framework::ScoringMode mode = framework::ScoringMode::clean;
  framework::Average average = framework::Average::samples;
  framework::Metric own = nullptr;  ///< a program's own rule of that name; null: Retain's
};

struct Answer {
  std::string id;
  framework::ScoreInput input;  ///< the prediction, and what it is held against
  double score = 0;             ///< NaN: left out of the mean
};

struct Evaluation {
  std::string benchmark;
  std::string stage;            ///< in the store; empty where the model is none of a store's
  Scoring scoring;
  double score = 0;             ///< 0 to 1
  std::int64_t samples = 0;     ///< that the metric spoke of
  std::vector<framework::CategoryScore> categories;
  std::vector<Answer> answers;
};

/// Scores the answers by `scoring` and averages. Throws Error(config_invalid) for an unknown metric, Error(data_empty) without
/// an answer that the metric speaks of.
void score_answers(Evaluation& evaluation, const Scoring& scoring);

framework::json::object to_json(const Evaluation& evaluation);
/// Without the answers.
framework::json::object summary_json(const Evaluation& evaluation);
/// Throws Error(store_invalid) naming `origin` when a field is missing or of another type.
Evaluation evaluation_from_json(const framework::json::value& value, const std::string& origin);

}  // namespace retain::recipes
