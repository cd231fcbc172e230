// SPDX-License-Identifier: Apache-2.0
#include "framework/store/retention.h"

#include <map>
#include <vector>

#include "framework/base/json.h"
#include "framework/store/history.h"
#include "framework/store/progress.h"
#include "framework/store/refs.h"

namespace retain::framework {
namespace {

/// Stage id → score, from the study that `retain run` keeps beside the store.
std::map<std::string, double> scores_of(const Store& store, const std::string& measure) {
  const std::filesystem::path file = store.root() / "study.json";
  const json::value study = read_json(file, ErrorKind::store_invalid);
  std::map<std::string, double> scores;
  try {
    std::set<std::string> held_out;
    for (const json::value& benchmark : study.at("benchmarks").as_array())
      if (const json::value* kind = benchmark.as_object().if_contains("kind");  // which earlier versions left to the task
          kind ? kind->as_string() == "held_out" : benchmark.at("task").as_string().empty())
        held_out.emplace(benchmark.at("name").as_string());
    const auto add = [&](const json::value& point) {
      double sum = 0;
      int terms = 0;
      for (const auto& [name, score] : point.at("scores").as_object())
        if (name == measure || (measure == "held_out" && held_out.contains(std::string(name)))) {
          sum += score.to_number<double>();
          ++terms;
        }
      if (terms > 0) scores[std::string(point.at("stage").as_string())] = sum / terms;
    };
    for (const json::value& branch : study.at("branches").as_array())
      for (const json::value& point : branch.at("stages").as_array()) add(point);
  } catch (const std::exception& error) {
    throw Error(ErrorKind::store_invalid, {file.string() + " is not a study", "as `retain run` writes it", error.what(),
                                           "run the experiment again"});
  }
  if (scores.empty())
    throw Error(ErrorKind::usage, {"no stage has a score of " + measure, "a benchmark of " + file.string() + ", or held_out", measure, {}});
  return scores;
}

/// `line`: first parents, newest first. What is gone from it keeps its place, so that the same rules always keep the same stages.
void keep_of_line(const Store& store, const std::vector<std::string>& line, const RetentionRules& rules,
                  const std::map<std::string, double>& scores, std::set<std::string>& kept) {
  const auto count = static_cast<std::int64_t>(line.size());
  const std::string* best = nullptr;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string& id = line[static_cast<std::size_t>(i)];
    if (!store.has_stage(id)) continue;
    const bool is_end = i == 0 || i == count - 1;
    const bool nth = rules.every > 0 && (count - 1 - i) % rules.every == 0;
    if (is_end || i < rules.last || nth) kept.insert(id);
    const auto score = scores.find(id);
    if (score != scores.end() && (!best || score->second > scores.at(*best))) best = &id;
  }
  if (best) kept.insert(*best);
}

}  // namespace

std::set<std::string> retained(const Store& store, const RetentionRules& rules) {
  const std::map<std::string, double> scores = rules.best.empty() ? std::map<std::string, double>() : scores_of(store, rules.best);
  std::set<std::string> kept;
  for (const Ref& ref : refs_of(store)) {
    kept.insert(ref.stage);
    if (ref.kind == RefKind::branch) keep_of_line(store, first_parents(store, ref.stage), rules, scores, kept);
  }
  for (const std::string& run : progress_runs(store))
    for (const std::int64_t step : progress_steps(store, run)) {
      const auto file = open_progress(store, run, step);
      for (const std::string& parent : file->manifest().parents)
        if (store.has_stage(parent)) kept.insert(parent);
    }
  return with_holders(store, kept);
}

}  // namespace retain::framework
