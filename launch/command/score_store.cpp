// SPDX-License-Identifier: Apache-2.0
#include "launch/command/score_store.h"

#include <iostream>
#include <limits>
#include <map>
#include <set>

#include "framework/base/json.h"
#include "framework/metrics/registry.h"
#include "framework/store/results.h"
#include "recipes/evaluation/evaluation.h"

namespace retain::launch {
namespace {

using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;

recipes::Scoring scoring_for(const RescoreOptions& options, const recipes::Extras& extras, recipes::Scoring kept) {
  if (!options.metric.empty()) kept.metric = options.metric;
  if (!options.mode.empty()) kept.mode = framework::scoring_mode_from_name(options.mode);
  if (!options.average.empty()) kept.average = framework::average_from_name(options.average);
  const auto own = extras.metrics.find(kept.metric);
  kept.own = own == extras.metrics.end() ? nullptr : own->second;
  return kept;
}

/// NaN where the metric speaks of no question of the benchmark: of a whole store it need not suit every benchmark.
void rescore(recipes::Evaluation& evaluation, const recipes::Scoring& scoring) {
  try {
    recipes::score_answers(evaluation, scoring);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data_empty) throw;
    evaluation.scoring = scoring;
    evaluation.score = std::numeric_limits<double>::quiet_NaN();
    evaluation.samples = 0;
    evaluation.categories.clear();
  }
}

}  // namespace

int score_store(const RescoreOptions& options, const recipes::Extras& extras) {
  const framework::Store store = framework::Store::open(options.store);
  const std::string stage = options.stage.empty() ? "" : store.resolve(options.stage);
  if (!options.metric.empty() && !extras.metrics.contains(options.metric))
    framework::metric_named(options.metric);                            // refused before anything is read
  std::map<std::string, std::string> lines;                             // by benchmark, stage and rule: the order they are printed in
  std::set<std::string> benchmarks;
  for (const std::string& key : framework::result_keys(store)) {
    if (!key.starts_with("evaluate-")) continue;
    const auto value = framework::get_result(store, key);
    recipes::Evaluation evaluation = recipes::evaluation_from_json(value.value(), "result " + key);
    benchmarks.insert(evaluation.benchmark);
    if ((!stage.empty() && evaluation.stage != stage) ||
        (!options.benchmark.empty() && evaluation.benchmark != options.benchmark))
      continue;
    const double kept = evaluation.score;
    rescore(evaluation, scoring_for(options, extras, evaluation.scoring));
    json::object line = options.answers ? recipes::to_json(evaluation) : recipes::summary_json(evaluation);
    line["kept"] = kept;
    lines[evaluation.benchmark + "/" + evaluation.stage + "/" + key] = json::serialize(line);
  }
  if (lines.empty()) {
    std::string names;
    for (const std::string& name : benchmarks) names += (names.empty() ? "" : ", ") + name;
    throw Error(ErrorKind::data_empty, {options.store + " keeps no such answers", "answers of a run to its benchmarks",
                                        names.empty() ? "none at all" : "answers to " + names, "name another benchmark or stage"});
  }
  for (const auto& [order, line] : lines) std::cout << line << '\n';
  return 0;
}

}  // namespace retain::launch
