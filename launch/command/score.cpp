// SPDX-License-Identifier: Apache-2.0
// `retain score --metric NAME`: {"prediction","references"[,"options","question","category"]} lines in, {"score"} lines out; null
// where the metric does not speak of such a question.
#include <cmath>
#include <iostream>

#include "framework/base/json.h"
#include "framework/metrics/registry.h"
#include "launch/command/commands.h"
#include "launch/command/score_store.h"

namespace retain::launch {
namespace {

using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;

std::vector<std::string> texts_of(const json::object& line, const char* key, const std::string& origin, bool required) {
  const json::value* value = line.if_contains(key);
  if (!value && !required) return {};
  const json::array* array = value ? value->if_array() : nullptr;
  if (!array) throw Error(ErrorKind::data_invalid, {origin, std::string("\"") + key + "\": an array of strings",
                                                    value ? json::serialize(*value) : "no such key", "correct the line"});
  std::vector<std::string> texts;
  for (const json::value& item : *array) {
    if (!item.is_string())
      throw Error(ErrorKind::data_invalid, {origin, std::string("\"") + key + "\": strings", json::serialize(item), "quote it"});
    texts.emplace_back(item.as_string());
  }
  return texts;
}

std::string text_of(const json::object& line, const char* key, const std::string& origin) {
  const json::value* value = line.if_contains(key);
  if (!value || value->is_null()) return {};
  if (!value->is_string())
    throw Error(ErrorKind::data_invalid, {origin, std::string("\"") + key + "\": a string", json::serialize(*value), "quote it"});
  return std::string(value->as_string());
}

framework::ScoreInput read_line(const std::string& text, const std::string& origin) {
  const json::value value = framework::parse_json(text, origin, ErrorKind::data_invalid);
  const json::object* line = value.if_object();
  const json::value* prediction = line ? line->if_contains("prediction") : nullptr;
  if (!prediction || !prediction->is_string())
    throw Error(ErrorKind::data_invalid, {origin, "an object with \"prediction\": a string", text.substr(0, 200), "correct the line"});
  return {std::string(prediction->as_string()), texts_of(*line, "references", origin, true), texts_of(*line, "options", origin, false),
          text_of(*line, "question", origin), text_of(*line, "category", origin)};
}

int score(const std::string& name, framework::ScoringMode mode, const recipes::Extras& extras) {
  const auto own = extras.metrics.find(name);
  const framework::Metric metric = own == extras.metrics.end() ? framework::metric_named(name, mode) : own->second;
  std::int64_t number = 0;
  for (std::string text; std::getline(std::cin, text);) {
    ++number;
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    const framework::ScoreInput input = read_line(text, "standard input, line " + std::to_string(number));
    if (name == "mcq" && mode == framework::ScoringMode::clean && input.options.empty())
      throw Error(ErrorKind::data_invalid, {"standard input, line " + std::to_string(number), "\"options\": the answer options",
                                            "none", "mcq needs the options of every question"});
    const double value = metric(input);
    std::cout << json::serialize(json::object{{"score", std::isnan(value) ? json::value() : json::value(value)}}) << '\n';
  }
  return 0;
}

}  // namespace

void add_score(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("score", "Score predictions: JSON lines in, {\"score\"} lines out; or a store's answers again");
  auto options = std::make_shared<RescoreOptions>();
  std::string names;
  for (const std::string& name : framework::metric_names()) names += (names.empty() ? "" : ", ") + name;
  CLI::Option* store = command->add_option("store", options->store, "Score the answers kept in this store again, without a model");
  command->add_option("--metric", options->metric, names + " (default: the one each evaluation used)");
  command->add_option("--mode", options->mode, "clean, or faithful: as the paper's released code scores")
      ->check(CLI::IsMember({"clean", "faithful"}));
  command->add_option("--average", options->average, "samples or categories")
      ->check(CLI::IsMember({"samples", "categories"}))
      ->needs(store);
  command->add_option("--stage", options->stage, "Answers of this branch, tag or id only")->needs(store);
  command->add_option("--benchmark", options->benchmark, "Answers to this benchmark only")->needs(store);
  command->add_flag("--answers", options->answers, "Print every sample's answer and score too")->needs(store);
  command->callback([&action, options] {
    if (options->store.empty() && options->metric.empty())
      throw Error(ErrorKind::usage, {"--metric is missing", "--metric NAME, or a store", "neither", "name the metric"});
    action = [options](const Session& session) {
      if (!session.is_root()) return 0;
      if (!options->store.empty()) return score_store(*options, session.extras());
      return score(options->metric, framework::scoring_mode_from_name(options->mode.empty() ? "clean" : options->mode), session.extras());
    };
  });
}

}  // namespace retain::launch
