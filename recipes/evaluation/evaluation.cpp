// SPDX-License-Identifier: Apache-2.0
#include "recipes/evaluation/evaluation.h"

#include <cmath>
#include <limits>

#include "framework/metrics/registry.h"

namespace retain::recipes {
namespace {

namespace json = framework::json;

const char* name_of(framework::ScoringMode mode) { return mode == framework::ScoringMode::clean ? "clean" : "faithful"; }

/// JSON has no NaN.
json::value number_json(double value) { return std::isnan(value) ? json::value() : json::value(value); }

std::string text_of(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value ? std::string(value->as_string()) : std::string();
}

json::object answer_json(const Answer& answer) {
  const framework::ScoreInput& input = answer.input;
  json::object object{{"id", answer.id}, {"prediction", input.prediction}, {"references", json::value_from(input.references)},
                      {"score", number_json(answer.score)}};
  if (!input.options.empty()) object["options"] = json::value_from(input.options);
  if (!input.question.empty()) object["question"] = input.question;
  if (!input.category.empty()) object["category"] = input.category;
  return object;
}

Answer answer_from_json(const json::object& object) {
  Answer answer;
  answer.id = object.at("id").as_string();
  answer.input = {text_of(object, "prediction"), json::value_to<std::vector<std::string>>(object.at("references")), {},
                  text_of(object, "question"), text_of(object, "category")};
  if (const json::value* options = object.if_contains("options")) answer.input.options = json::value_to<std::vector<std::string>>(*options);
  answer.score = object.at("score").is_null() ? std::numeric_limits<double>::quiet_NaN() : object.at("score").to_number<double>();
  return answer;
}

}  // namespace

void score_answers(Evaluation& evaluation, const Scoring& scoring) {
  const framework::Metric metric = scoring.own ? scoring.own : framework::metric_named(scoring.metric, scoring.mode);
  std::vector<framework::ScoredSample> samples;
  for (Answer& answer : evaluation.answers) {
    answer.score = metric(answer.input);
    samples.push_back({answer.score, answer.input.category});
  }
  framework::BenchmarkScore result;
  try {
    result = framework::average_scores(samples, scoring.average);
  } catch (const framework::Error& error) {
    framework::ErrorParts parts = error.parts();
    parts.what = "benchmark " + evaluation.benchmark + ", metric " + scoring.metric + ": " + parts.what;
    throw framework::Error(error.kind(), parts);
  }
  evaluation.scoring = scoring;
  evaluation.score = result.score;
  evaluation.samples = result.samples;
  evaluation.categories = std::move(result.categories);
}

json::object summary_json(const Evaluation& evaluation) {
  json::object object{{"benchmark", evaluation.benchmark}, {"stage", evaluation.stage}, {"metric", evaluation.scoring.metric},
                      {"mode", name_of(evaluation.scoring.mode)}, {"average", framework::name_of(evaluation.scoring.average)},
                      {"score", number_json(evaluation.score)}, {"samples", evaluation.samples}};
  json::array categories;
  for (const framework::CategoryScore& category : evaluation.categories)
    categories.push_back(json::object{{"category", category.category}, {"score", category.score}, {"samples", category.samples}});
  if (!categories.empty()) object["categories"] = std::move(categories);
  return object;
}

json::object to_json(const Evaluation& evaluation) {
  json::object object = summary_json(evaluation);
  json::array answers;
  for (const Answer& answer : evaluation.answers) answers.push_back(answer_json(answer));
  object["answers"] = std::move(answers);
  return object;
}

Evaluation evaluation_from_json(const json::value& value, const std::string& origin) {
  try {
    const json::object& object = value.as_object();
    Evaluation evaluation;
    evaluation.benchmark = text_of(object, "benchmark");
    evaluation.stage = text_of(object, "stage");
    evaluation.scoring = {text_of(object, "metric"), framework::scoring_mode_from_name(text_of(object, "mode")),
                          framework::average_from_name(text_of(object, "average"))};
    evaluation.score = object.at("score").to_number<double>();
    evaluation.samples = object.at("samples").to_number<std::int64_t>();
    if (const json::value* categories = object.if_contains("categories"))
      for (const json::value& item : categories->as_array())
        evaluation.categories.push_back({text_of(item.as_object(), "category"), item.at("score").to_number<double>(),
                                         item.at("samples").to_number<std::int64_t>()});
    for (const json::value& item : object.at("answers").as_array()) evaluation.answers.push_back(answer_from_json(item.as_object()));
    return evaluation;
  } catch (const std::exception& error) {
    throw framework::Error(framework::ErrorKind::store_invalid,
                           {origin + " is no evaluation that this version reads", "answers with their references, and the metric",
                            error.what(), "delete the result; the run that made it will make it again"});
  }
}

}  // namespace retain::recipes
