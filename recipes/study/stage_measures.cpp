// SPDX-License-Identifier: Apache-2.0
#include "recipes/study/stage_measures.h"

#include <algorithm>
#include <utility>

#include "framework/store/results.h"
#include "recipes/settings/source_settings.h"

namespace retain::recipes {
namespace {

namespace json = framework::json;
using framework::BenchmarkKind;

/// Answers to the same questions by the same stage, kept under another metric.
std::optional<Evaluation> find_answers(parallel::ShardedStore& store, const std::string& answered) {
  const auto pointer = store.get_result(answered);
  if (!pointer) return std::nullopt;
  const std::string key(pointer->at("evaluation").as_string());
  const auto known = store.get_result(key);
  if (!known) return std::nullopt;
  return evaluation_from_json(*known, "result " + key);
}

/// Names a stage's weights, as they are read, in the memo keys of probes.
json::object probe_inputs(const std::string& stage, const std::string& reading) {
  json::object inputs{{"stage", stage}};
  if (!reading.empty()) inputs["reading"] = reading;
  return inputs;
}

}  // namespace

StageMeasures::StageMeasures(const Experiment& experiment, const ModelKit& kit, PictureDigests& pictures)
    : experiment_(experiment), kit_(kit), probes_(experiment, kit, pictures) {
  for (const Benchmark& benchmark : experiment.benchmarks) {
    const auto records = load_records(benchmark);
    benchmarks_.push_back({benchmark, read_questions(benchmark), identity_of(records, pictures)});
  }
}

std::vector<framework::StudyBenchmark> StageMeasures::benchmarks() const {
  std::vector<framework::StudyBenchmark> named;
  for (const Questions& asked : benchmarks_)
    named.push_back({asked.benchmark.name, asked.benchmark.scoring.metric,
                     asked.benchmark.kind == BenchmarkKind::target ? asked.benchmark.task : std::string(),
                     static_cast<std::int64_t>(asked.questions.size()), asked.benchmark.kind == BenchmarkKind::extra});
  return named;
}

framework::StudyPoint StageMeasures::measure(const std::string& stage, const std::string& task, const std::string& reading,
                                             StageModel& model, parallel::ShardedStore& store, const std::function<void()>& heed) const {
  const Measured measured{stage, reading, model, store, heed};
  framework::StudyPoint point{task, stage, {}, {}};
  for (const Questions& asked : benchmarks_) point.scores[asked.benchmark.name] = evaluate_stage(measured, asked);
  probe_stage(measured, point);
  return point;
}

StageMeasures::EvaluationKeys StageMeasures::keys_of(const std::string& stage, const std::string& reading, const Questions& asked) const {
  const Benchmark& benchmark = asked.benchmark;
  json::object inputs{{"stage", stage}, {"data", asked.identity.records}, {"pictures", asked.identity.pictures},
                      {"limit", benchmark.limit}, {"max_new_tokens", benchmark.max_new_tokens}, {"mode", name_of(experiment_.mode)},
                      {"dtype", std::string(framework::name_of(experiment_.dtype))}};
  if (!reading.empty()) inputs["reading"] = reading;
  std::string answered = framework::memo_key("answered", inputs);  // names the evaluation that asked the model
  inputs["metric"] = benchmark.scoring.metric;
  inputs["average"] = framework::name_of(benchmark.scoring.average);
  return {std::move(answered), framework::memo_key("evaluate", inputs)};
}

double StageMeasures::evaluate_stage(const Measured& measured, const Questions& asked) const {
  const Benchmark& benchmark = asked.benchmark;
  parallel::ShardedStore& store = measured.store;
  const auto [answered, key] = keys_of(measured.stage, measured.reading, asked);
  const auto note = [&] {  // also after a stop between the two results
    if (!store.get_result(answered)) store.put_result(answered, json::object{{"evaluation", key}});
  };
  if (const auto known = store.get_result(key)) {
    note();
    return known->at("score").to_number<double>();
  }
  const std::optional<Evaluation> earlier = find_answers(store, answered);
  Evaluation evaluation;
  if (earlier) {
    evaluation = *earlier;
    evaluation.benchmark = benchmark.name;
    score_answers(evaluation, benchmark.scoring);
  } else {
    models::Lmm& model = measured.model.use(measured.stage, measured.reading);
    model.mesh().world().describe_activity("benchmark " + benchmark.name + " on stage " + measured.stage.substr(0, 10));
    evaluation = evaluate(model, kit_.builder(), benchmark, asked.questions, experiment_.evaluation_batch, measured.heed);
    evaluation.stage = measured.stage;
  }
  store.put_result(key, to_json(evaluation));
  if (!earlier) note();
  return store.get_result(key)->at("score").to_number<double>();  // to the last digit what a later run reads
}

const StageMeasures::Questions& StageMeasures::questions_of(const std::string& benchmark) const {
  for (const Questions& asked : benchmarks_)
    if (asked.benchmark.name == benchmark) return asked;
  throw framework::Error(framework::ErrorKind::internal, "there is no benchmark " + benchmark);
}

json::object StageMeasures::describe_panel(const std::string& name, std::int64_t limit) const {
  const Questions& asked = questions_of(name);
  const Benchmark& benchmark = asked.benchmark;
  const auto most = static_cast<std::int64_t>(asked.questions.size());
  return {{"data", asked.identity.records},
          {"pictures", asked.identity.pictures},
          {"limit", limit > 0 ? std::min(limit, most) : most},
          {"max_new_tokens", benchmark.max_new_tokens},
          {"metric", benchmark.scoring.metric},
          {"average", framework::name_of(benchmark.scoring.average)},
          {"mode", name_of(experiment_.mode)},
          {"dtype", std::string(framework::name_of(experiment_.dtype))}};
}

double StageMeasures::panel(const std::string& name, std::int64_t limit, const json::object& inputs, models::Lmm& model,
                            parallel::ShardedStore& store) const {
  const json::object description = describe_panel(name, limit);
  const std::string key = framework::memo_key("panel", json::object{{"panel", description}, {"of", inputs}});
  if (!store.get_result(key)) {
    const Questions& asked = questions_of(name);
    model.mesh().world().describe_activity("panel of benchmark " + name);
    const std::vector<Question> few(asked.questions.begin(), asked.questions.begin() + description.at("limit").as_int64());
    const Evaluation evaluation = evaluate(model, kit_.builder(), asked.benchmark, few, experiment_.evaluation_batch);
    store.put_result(key, json::object{{"score", evaluation.score}, {"samples", evaluation.samples}});
  }
  return store.get_result(key)->at("score").to_number<double>();
}

bool StageMeasures::are_kept(const std::string& stage, const std::string& reading, parallel::ShardedStore& store) const {
  for (const Questions& asked : benchmarks_) {
    const EvaluationKeys keys = keys_of(stage, reading, asked);
    if (!store.get_result(keys.scored) && !find_answers(store, keys.answered)) return false;
  }
  for (std::size_t i = 0; i < probes_.size(); ++i)
    if (!probes_.find(i, probe_inputs(stage, reading), store)) return false;
  return true;
}

void StageMeasures::probe_stage(const Measured& measured, framework::StudyPoint& point) const {
  const json::object inputs = probe_inputs(measured.stage, measured.reading);
  const auto model = [&]() -> models::Lmm& {
    measured.heed();
    return measured.model.use(measured.stage, measured.reading);
  };
  const Probed probed{inputs, "stage " + measured.stage.substr(0, 10), model, measured.stage};
  for (std::size_t i = 0; i < probes_.size(); ++i) {
    const KeptReading reading = probes_.read(i, probed, measured.store);
    point.readings[probes_.probe(i).name] = reading.key;
    if (reading.value) point.probes[probes_.probe(i).name] = *reading.value;
  }
}

}  // namespace retain::recipes
