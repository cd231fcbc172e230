// SPDX-License-Identifier: Apache-2.0
// A study of two recipes and two tasks, and a store that keeps the answers behind it.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "framework/report/analysis.h"
#include "framework/store/results.h"
#include "framework/store/store_lock.h"

namespace retain::framework::testing {

/// Samples of every benchmark.
constexpr int kSamples = 40;

inline Study small_study() {
  const auto samples = static_cast<std::int64_t>(kSamples);
  Study study{"A study", "clean", 1000, {{"digits", "exact_match", "digits", samples}, {"count", "count", "count", samples}, {"color", "exact_match", "", samples},
              {"shape", "exact_match", "", samples}}, {}, {}};
  study.base = {"", "base0", {{"digits", 0.1}, {"count", 0.0}, {"color", 0.8}, {"shape", 0.9}}, {{"number_bias", 0.001}}};
  study.branches.push_back({"llm", 500, {{"digits", "llm1", {{"digits", 0.6}, {"count", 0.0}, {"color", 0.3}, {"shape", 0.2}}, {{"number_bias", 0.2}}},
                                         {"count", "llm2", {{"digits", 0.4}, {"count", 0.5}, {"color", 0.55}, {"shape", 0.45}}, {{"number_bias", 0.4}}}}, {}, {}});
  study.branches.push_back({"sa_proj", 100, {{"digits", "sa1", {{"digits", 0.5}, {"count", 0.0}, {"color", 0.8}, {"shape", 0.85}}, {{"number_bias", 0.002}}},
                                             {"count", "sa2", {{"digits", 0.5}, {"count", 0.4}, {"color", 0.75}, {"shape", 0.9}}, {{"number_bias", 0.004}}}}, {}, {}});
  return study;
}

/// The study with a benchmark that counts in no mean, whatever becomes of it.
inline Study study_with_extra() {
  Study study = small_study();
  study.benchmarks.push_back({"clockread", "clock", "", kSamples, true});
  double score = 0.1;
  study.base.scores["clockread"] = score;
  for (StudyBranch& branch : study.branches)
    for (StudyPoint& point : branch.stages) point.scores["clockread"] = score += 0.2;
  return study;
}

/// The study with an extra benchmark and two probes that were read after two steps of every stage; `words` has answers and no figure.
inline Study probed_study() {
  Study study = study_with_extra();
  const auto probe = [](StudyPoint& point, double value) {
    point.probes["layers"] = value;
    point.readings = {{"layers", "probe-layers-" + point.stage}, {"words", "probe-words-" + point.stage}};
    if (point.task.empty()) return;
    point.last_step = 50;
    for (const std::int64_t step : {1, 10}) {
      const std::string key = point.stage + "-" + std::to_string(step);
      point.steps.push_back({step, {{"layers", value * static_cast<double>(step) / 64}}, {{"layers", "probe-layers-" + key}, {"words", "probe-words-" + key}}});
    }
  };
  double value = 0;
  probe(study.base, value);
  for (StudyBranch& branch : study.branches)
    for (StudyPoint& point : branch.stages) probe(point, value += 0.7);
  return study;
}

/// Answers of which the first `score` · kSamples are right.
inline json::object evaluation_json(const StudyBenchmark& benchmark, const StudyPoint& point) {
  const double score = point.scores.at(benchmark.name);
  const int right = static_cast<int>(std::lround(score * kSamples));
  json::array answers;
  for (int i = 0; i < kSamples; ++i) {
    const std::string expected = "answer " + std::to_string(i);
    answers.push_back(json::object{{"id", benchmark.name + "-" + std::to_string(i)}, {"prediction", i < right ? expected : "<b>" + point.stage + "</b>"},
                                   {"references", json::array{json::value(expected)}}, {"score", i < right ? 1.0 : 0.0}});
  }
  return {{"benchmark", benchmark.name}, {"stage", point.stage}, {"metric", benchmark.metric}, {"mode", "clean"}, {"average", "samples"},
          {"score", score}, {"samples", kSamples}, {"answers", std::move(answers)}};
}

/// The answers of every stage of the study, kept as a run keeps them.
inline Store store_of(const Study& study, const std::filesystem::path& root) {
  const Store store = Store::open_or_create(root);
  const StoreLock lock(store, "test");
  const auto keep = [&](const StudyPoint& point) {
    for (const StudyBenchmark& benchmark : study.benchmarks)
      put_result(store, lock, "evaluate-" + point.stage + "-" + benchmark.name, evaluation_json(benchmark, point));
  };
  keep(study.base);
  for (const StudyBranch& branch : study.branches)
    for (const StudyPoint& point : branch.stages) keep(point);
  const auto read = [&](const std::map<std::string, double>& probes, const std::map<std::string, std::string>& readings) {
    if (readings.empty()) return;
    const double value = probes.at("layers");
    put_result(store, lock, readings.at("layers"), json::object{{"kind", "layer_delta"}, {"value", value}, {"attention", json::array{value / 2, value / 4}},
                                                                     {"mlp", json::array{value, value * 3}}});
    json::array answers;
    answers.push_back(json::object{{"id", "q"}, {"question", "<image> what?"}, {"answer", "<i>" + readings.at("words") + "</i>"}});
    put_result(store, lock, readings.at("words"), json::object{{"kind", "samples"}, {"answers", std::move(answers)}});
  };
  read(study.base.probes, study.base.readings);
  for (const StudyBranch& branch : study.branches)
    for (const StudyPoint& point : branch.stages) {
      read(point.probes, point.readings);
      for (const StudyStep& step : point.steps) read(step.probes, step.readings);
    }
  return store;
}

}  // namespace retain::framework::testing
