// SPDX-License-Identifier: Apache-2.0
#include "framework/report/study.h"

#include <cmath>
#include <cstdio>
#include <limits>

#include "framework/report/budget.h"

namespace retain::framework {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

/// A running mean that is NaN when nothing was added.
class Mean {
 public:
  void add(double value) {
    sum_ += value;
    ++count_;
  }
  double value() const { return count_ ? sum_ / count_ : kNothing; }

 private:
  double sum_ = 0;
  int count_ = 0;
};

template <class Value>
json::object object_of(const std::map<std::string, Value>& values) {
  json::object object;
  for (const auto& [name, value] : values) object[name] = value;
  return object;
}

json::object point_json(const StudyPoint& point) {
  json::object item{{"task", point.task}, {"stage", point.stage}, {"scores", object_of(point.scores)}, {"probes", object_of(point.probes)}};
  if (!point.readings.empty()) item["readings"] = object_of(point.readings);
  json::array steps;
  for (const StudyStep& step : point.steps)
    steps.push_back(json::object{{"step", step.step}, {"probes", object_of(step.probes)}, {"readings", object_of(step.readings)}});
  if (!steps.empty()) item["steps"] = std::move(steps);
  if (point.last_step > 0) item["last_step"] = point.last_step;
  return item;
}

std::map<std::string, double> figures_from(const json::value& value) {
  std::map<std::string, double> figures;
  for (const auto& [name, figure] : value.as_object()) figures[std::string(name)] = figure.to_number<double>();
  return figures;
}

std::map<std::string, std::string> readings_from(const json::value& value) {
  std::map<std::string, std::string> readings;
  for (const auto& [name, key] : value.as_object()) readings[std::string(name)] = std::string(key.as_string());
  return readings;
}

StudyPoint point_from(const json::value& value) {
  StudyPoint point{std::string(value.at("task").as_string()), std::string(value.at("stage").as_string()), {}, {}};
  point.scores = figures_from(value.at("scores"));
  point.probes = figures_from(value.at("probes"));
  const json::object& item = value.as_object();
  if (const json::value* readings = item.if_contains("readings")) point.readings = readings_from(*readings);
  if (const json::value* last = item.if_contains("last_step")) point.last_step = last->to_number<std::int64_t>();
  if (const json::value* steps = item.if_contains("steps"))
    for (const json::value& step : steps->as_array())
      point.steps.push_back({step.at("step").to_number<std::int64_t>(), figures_from(step.at("probes")),
                             readings_from(step.at("readings"))});
  return point;
}

json::object budget_json(const Budget& budget) {
  return {{"global_batch", budget.global_batch}, {"steps", budget.steps}, {"tokens", budget.tokens}};
}

/// Records of earlier versions name no kind, and have none of these.
bool is_extra(const json::object& benchmark) {
  const json::value* kind = benchmark.if_contains("kind");
  return kind && kind->as_string() == name_of(BenchmarkKind::extra);
}

/// Order, seed and budget, which records of earlier versions lack.
void read_setting(const json::object& item, StudyBranch& branch) {
  if (const json::value* name = item.if_contains("name")) branch.name = name->as_string();
  if (const json::value* order = item.if_contains("order")) branch.order = order->as_string();
  if (const json::value* seed = item.if_contains("seed")) branch.seed = seed->to_number<std::int64_t>();
  if (const json::value* budget = item.if_contains("budget"))
    branch.budget = {std::string(budget->at("global_batch").as_string()), budget->at("steps").to_number<std::int64_t>(),
                     budget->at("tokens").to_number<std::int64_t>()};
}

std::string points_text(double points) {
  if (std::isnan(points)) return "–";
  char text[32];
  std::snprintf(text, sizeof text, "%+.1f", points);
  return text;
}

}  // namespace

const char* name_of(BenchmarkKind kind) {
  switch (kind) {
    case BenchmarkKind::target: return "target";
    case BenchmarkKind::held_out: return "held_out";
    case BenchmarkKind::extra: break;
  }
  return "extra";
}

std::vector<const StudyBenchmark*> benchmarks_of(const std::vector<StudyBenchmark>& benchmarks, BenchmarkKind kind) {
  std::vector<const StudyBenchmark*> found;
  for (const StudyBenchmark& benchmark : benchmarks)
    if (benchmark.kind() == kind) found.push_back(&benchmark);
  return found;
}

double score_of(const StudyPoint& point, const std::string& benchmark) {
  const auto found = point.scores.find(benchmark);
  return found == point.scores.end() ? kNothing : found->second;
}

const StudyPoint* stage_of_task(const StudyBranch& branch, const std::string& task) {
  for (const StudyPoint& point : branch.stages)
    if (point.task == task) return &point;
  return nullptr;
}

Measures measure(const Study& study, const StudyBranch& branch) {
  Mean learning, forgetting, overall, held_out;
  if (!branch.stages.empty())
    for (const StudyBenchmark& benchmark : study.benchmarks) {
      const double base = score_of(study.base, benchmark.name);
      const double last = score_of(branch.stages.back(), benchmark.name);
      if (std::isnan(base) || std::isnan(last)) continue;
      if (benchmark.kind() == BenchmarkKind::held_out) held_out.add(100 * (last - base));
      if (benchmark.kind() != BenchmarkKind::target) continue;
      const StudyPoint* own = stage_of_task(branch, benchmark.task);
      const double learned = own ? score_of(*own, benchmark.name) : kNothing;
      if (std::isnan(learned)) continue;
      learning.add(100 * (learned - base));
      forgetting.add(100 * (last - learned));
      overall.add(100 * (last - base));
    }
  return {learning.value(), forgetting.value(), overall.value(), held_out.value()};
}

double held_out_mean(const Study& study, const StudyPoint& point) {
  Mean mean;
  for (const StudyBenchmark* benchmark : benchmarks_of(study.benchmarks, BenchmarkKind::held_out))
    if (const double score = score_of(point, benchmark->name); !std::isnan(score)) mean.add(score);
  return mean.value();
}

json::value to_json(const Study& study) {
  json::array benchmarks, branches;
  for (const StudyBenchmark& b : study.benchmarks)
    benchmarks.push_back(json::object{
        {"name", b.name}, {"metric", b.metric}, {"kind", name_of(b.kind())}, {"task", b.task}, {"samples", b.samples}});
  for (const StudyBranch& branch : study.branches) {
    json::array stages;
    for (const StudyPoint& point : branch.stages) stages.push_back(point_json(point));
    json::object item{{"recipe", branch.recipe}, {"trained", branch.trained}, {"stages", std::move(stages)},
                      {"name", branch.label()}, {"budget", budget_json(branch.budget)}};
    if (!branch.order.empty()) item["order"] = branch.order;
    if (branch.seed) item["seed"] = *branch.seed;
    branches.push_back(std::move(item));
  }
  const std::vector<std::string> unequal = unequal_budgets({&study});
  return json::object{{"title", study.title}, {"mode", study.mode}, {"parameters", study.parameters},
                      {"benchmarks", std::move(benchmarks)}, {"base", point_json(study.base)}, {"branches", std::move(branches)},
                      {"equal_budget", unequal.empty()}, {"unequal_budgets", json::value_from(unequal)}};
}

Study study_from_json(const json::value& value, const std::string& origin) {
  try {
    Study study{std::string(value.at("title").as_string()), std::string(value.at("mode").as_string()),
                value.at("parameters").to_number<std::int64_t>(), {}, point_from(value.at("base")), {}};
    for (const json::value& b : value.at("benchmarks").as_array())
      study.benchmarks.push_back({std::string(b.at("name").as_string()), std::string(b.at("metric").as_string()),
                                  std::string(b.at("task").as_string()), b.at("samples").to_number<std::int64_t>(),
                                  is_extra(b.as_object())});
    for (const json::value& item : value.at("branches").as_array()) {
      StudyBranch branch{std::string(item.at("recipe").as_string()), item.at("trained").to_number<std::int64_t>(), {}, {}, {}};
      for (const json::value& point : item.at("stages").as_array()) branch.stages.push_back(point_from(point));
      read_setting(item.as_object(), branch);
      study.branches.push_back(std::move(branch));
    }
    return study;
  } catch (const std::exception& failure) {
    throw Error(ErrorKind::store_invalid, {origin + " is not a study's record", "the fields that `retain run` writes", failure.what(),
                                           "run the experiment again: it rewrites the record and repeats no finished step"});
  }
}

std::string measures_table(const Study& study) {
  char line[256];
  std::snprintf(line, sizeof line, "%-16s %12s %10s %11s %9s %10s\n", "recipe", "trained", "learning", "forgetting", "overall", "held-out");
  std::string text = line;
  for (const StudyBranch& branch : study.branches) {
    const Measures m = measure(study, branch);
    std::snprintf(line, sizeof line, "%-16s %12lld %10s %11s %9s %10s\n", branch.label().c_str(), static_cast<long long>(branch.trained),
                  points_text(m.target_learning).c_str(), points_text(m.target_forgetting).c_str(), points_text(m.target_overall).c_str(),
                  points_text(m.held_out_forgetting).c_str());
    text += line;
  }
  std::snprintf(line, sizeof line, "base: held-out mean %.1f %%; the other figures are percentage points against it\n",
                100 * held_out_mean(study, study.base));
  text += line;
  for (const std::string& difference : unequal_budgets({&study})) text += "not at equal budget: " + difference + "\n";
  return text;
}

}  // namespace retain::framework
