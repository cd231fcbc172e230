// SPDX-License-Identifier: Apache-2.0
#include "framework/report/answers.h"

#include <cmath>
#include <limits>

#include "framework/store/digest.h"
#include "framework/store/results.h"

namespace retain::framework {
namespace {

double score_from(const json::value& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.to_number<double>();
}

std::string text_of(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value ? std::string(value->as_string()) : std::string();
}

KeptEvaluation evaluation_from(const json::object& object, const std::string& key) {
  KeptEvaluation evaluation{key, text_of(object, "metric"), object.at("score").to_number<double>(), {}, {}, {}};
  const bool by_category = text_of(object, "average") == "categories";
  json::array questions;
  for (const json::value& item : object.at("answers").as_array()) {
    const json::object& answer = item.as_object();
    evaluation.scores.push_back(score_from(answer.at("score")));
    if (by_category) evaluation.categories.push_back(text_of(answer, "category"));
    questions.push_back(json::array{answer.at("id"), answer.at("references")});
  }
  evaluation.questions = to_hex(digest_of(std::string_view(json::serialize(questions))));
  return evaluation;
}

[[noreturn]] void refuse(const std::string& key, const char* found) {
  throw Error(ErrorKind::store_invalid, {"result " + key + " is no evaluation that this version reads", "answers with their scores", found,
                                         "delete the result; the run that made it will make it again"});
}

}  // namespace

KeptAnswers::KeptAnswers(const Store& store) : store_(store) {
  for (const std::string& key : result_keys(store)) {
    if (!key.starts_with("evaluate-")) continue;
    const auto value = get_result(store, key);
    if (!value || !value->is_object() || !value->as_object().contains("answers")) continue;
    try {
      const json::object& object = value->as_object();
      by_stage_[{text_of(object, "stage"), text_of(object, "benchmark")}].push_back(evaluation_from(object, key));
    } catch (const boost::system::system_error& failure) {
      refuse(key, failure.what());
    } catch (const std::out_of_range& failure) {
      refuse(key, failure.what());
    }
  }
}

const KeptEvaluation* KeptAnswers::find(const StudyBenchmark& benchmark, const StudyPoint& point) const {
  const auto found = by_stage_.find({point.stage, benchmark.name});
  const double score = score_of(point, benchmark.name);
  if (found == by_stage_.end() || std::isnan(score)) return nullptr;
  for (const KeptEvaluation& evaluation : found->second)  // a stage read in two ways has two: the figure tells which
    if (evaluation.metric == benchmark.metric && std::abs(evaluation.score - score) < 1e-12) return &evaluation;
  return nullptr;
}

std::vector<KeptAnswer> KeptAnswers::texts(const KeptEvaluation& evaluation) const {
  std::vector<KeptAnswer> answers;
  const auto value = store_ ? get_result(*store_, evaluation.key) : std::nullopt;
  if (!value) return answers;
  for (const json::value& item : value->at("answers").as_array()) {
    const json::object& answer = item.as_object();
    answers.push_back({text_of(answer, "id"), text_of(answer, "question"), text_of(answer, "prediction"),
                       json::value_to<std::vector<std::string>>(answer.at("references")), score_from(answer.at("score"))});
  }
  return answers;
}

bool add_changes(std::vector<Stratum>& strata, const KeptEvaluation* earlier, const KeptEvaluation* later, double weight) {
  if (!earlier || !later || earlier->questions != later->questions) return false;
  const std::vector<double> differences = paired_differences(earlier->scores, later->scores);
  std::map<std::string, std::vector<double>> parts;
  for (std::size_t i = 0; i < differences.size(); ++i)
    if (!std::isnan(differences[i])) parts[later->categories.empty() ? "" : later->categories[i]].push_back(differences[i]);
  if (parts.empty()) return false;
  for (auto& [category, values] : parts) strata.push_back({std::move(values), weight / static_cast<double>(parts.size())});
  return true;
}

}  // namespace retain::framework
