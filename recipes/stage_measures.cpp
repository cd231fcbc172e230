// SPDX-License-Identifier: Apache-2.0
#include "recipes/stage_measures.h"

#include <utility>

#include "framework/store/results.h"
#include "recipes/probes/number_bias.h"
#include "recipes/probes/number_tokens.h"
#include "recipes/source_settings.h"

namespace retain::recipes {
namespace {

namespace json = framework::json;

/// Answers to the same questions by the same stage, kept under another metric.
std::optional<Evaluation> find_answers(parallel::ShardedStore& store, const std::string& answered) {
  const auto pointer = store.get_result(answered);
  if (!pointer) return std::nullopt;
  const std::string key(pointer->at("evaluation").as_string());
  const auto known = store.get_result(key);
  if (!known) return std::nullopt;
  return evaluation_from_json(*known, "result " + key);
}

}  // namespace

StageMeasures::StageMeasures(const Experiment& experiment, const ModelKit& kit, PictureDigests& pictures)
    : experiment_(experiment), kit_(kit) {
  for (const Probe& probe : experiment.probes) {
    const Task captions{.name = probe.name, .train = probe.data, .images = probe.images, .source = nullptr, .settings = experiment.train};
    probes_.push_back({probe, look_at(load_records(captions), kit, experiment, pictures)});
  }
  for (const Benchmark& benchmark : experiment.benchmarks) {
    const auto records = load_records(benchmark);
    benchmarks_.push_back({benchmark, read_questions(benchmark), identity_of(records, pictures)});
  }
  if (!probes_.empty()) number_ids_ = number_tokens(kit.builder().tokenizer());
}

std::vector<framework::StudyBenchmark> StageMeasures::benchmarks() const {
  std::vector<framework::StudyBenchmark> named;
  for (const Questions& asked : benchmarks_)
    named.push_back({asked.benchmark.name, asked.benchmark.scoring.metric,
                     asked.benchmark.kind == Benchmark::Kind::target ? asked.benchmark.task : std::string(),
                     static_cast<std::int64_t>(asked.questions.size())});
  return named;
}

framework::StudyPoint StageMeasures::measure(const std::string& stage, const std::string& task, const std::string& reading,
                                             StageModel& model, parallel::ShardedStore& store) const {
  const Measured measured{stage, reading, model, store};
  framework::StudyPoint point{task, stage, {}, {}};
  for (const Questions& asked : benchmarks_) point.scores[asked.benchmark.name] = evaluate_stage(measured, asked);
  for (const Captions& captions : probes_) point.probes[captions.probe.name] = probe_stage(measured, captions);
  return point;
}

json::object StageMeasures::inputs_of(const Measured& measured, const DataIdentity& data, std::int64_t limit) const {
  json::object inputs{{"stage", measured.stage}, {"data", data.records}, {"pictures", data.pictures}, {"limit", limit},
                      {"mode", name_of(experiment_.mode)}, {"dtype", std::string(framework::name_of(experiment_.dtype))}};
  if (!measured.reading.empty()) inputs["reading"] = measured.reading;
  return inputs;
}

double StageMeasures::evaluate_stage(const Measured& measured, const Questions& asked) const {
  const Benchmark& benchmark = asked.benchmark;
  parallel::ShardedStore& store = measured.store;
  json::object inputs = inputs_of(measured, asked.identity, benchmark.limit);
  inputs["max_new_tokens"] = benchmark.max_new_tokens;
  const std::string answered = framework::memo_key("answered", inputs);  // names the evaluation that asked the model
  inputs["metric"] = benchmark.scoring.metric;
  inputs["average"] = framework::name_of(benchmark.scoring.average);
  const std::string key = framework::memo_key("evaluate", inputs);
  if (const auto known = store.get_result(key)) return known->at("score").to_number<double>();
  const std::optional<Evaluation> earlier = find_answers(store, answered);
  Evaluation evaluation;
  if (earlier) {
    evaluation = *earlier;
    evaluation.benchmark = benchmark.name;
    score_answers(evaluation, benchmark.scoring);
  } else {
    models::Lmm& model = measured.model.use(measured.stage, measured.reading);
    model.mesh().world().describe_activity("benchmark " + benchmark.name + " on stage " + measured.stage.substr(0, 10));
    evaluation = evaluate(model, kit_.builder(), benchmark, asked.questions, experiment_.evaluation_batch);
    evaluation.stage = measured.stage;
  }
  store.put_result(key, to_json(evaluation));
  if (!earlier && !store.get_result(answered)) store.put_result(answered, json::object{{"evaluation", key}});
  return store.get_result(key)->at("score").to_number<double>();  // to the last digit what a later run reads
}

double StageMeasures::probe_stage(const Measured& measured, const Captions& captions) const {
  const Probe& probe = captions.probe;
  json::object inputs = inputs_of(measured, captions.records.identity, probe.limit);
  inputs["probe"] = "number_bias";
  const std::string key = framework::memo_key("probe", inputs);
  if (const auto known = measured.store.get_result(key)) return known->at("mean_probability").to_number<double>();
  models::Lmm& model = measured.model.use(measured.stage, measured.reading);
  model.mesh().world().describe_activity("probe " + probe.name + " on stage " + measured.stage.substr(0, 10));
  const double bias = number_bias(model, *captions.records.samples, number_ids_, probe.limit, experiment_.evaluation_batch);
  measured.store.put_result(key, json::object{{"mean_probability", bias}, {"tokens", json::value_from(number_ids_)}});
  return measured.store.get_result(key)->at("mean_probability").to_number<double>();
}

}  // namespace retain::recipes
