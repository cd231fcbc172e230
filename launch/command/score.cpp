// SPDX-License-Identifier: Apache-2.0
// `retain score --metric NAME`: {"prediction","references"[,"options"]} lines in, {"score"} lines out.
#include <iostream>

#include "framework/base/json.h"
#include "framework/metrics/registry.h"
#include "launch/command/commands.h"

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
    texts.emplace_back(item.as_string().c_str());
  }
  return texts;
}

framework::ScoreInput read_line(const std::string& text, const std::string& origin) {
  const json::value value = framework::parse_json(text, origin, ErrorKind::data_invalid);
  const json::object* line = value.if_object();
  const json::value* prediction = line ? line->if_contains("prediction") : nullptr;
  if (!prediction || !prediction->is_string())
    throw Error(ErrorKind::data_invalid, {origin, "an object with \"prediction\": a string", text.substr(0, 200), "correct the line"});
  return {std::string(prediction->as_string()), texts_of(*line, "references", origin, true), texts_of(*line, "options", origin, false)};
}

int score(const std::string& name) {
  const framework::Metric metric = framework::metric_named(name);
  std::int64_t number = 0;
  for (std::string text; std::getline(std::cin, text);) {
    ++number;
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    const framework::ScoreInput input = read_line(text, "standard input, line " + std::to_string(number));
    if (name == "mcq" && input.options.empty())
      throw Error(ErrorKind::data_invalid, {"standard input, line " + std::to_string(number), "\"options\": the answer options",
                                            "none", "mcq needs the options of every question"});
    std::cout << json::serialize(json::object{{"score", metric(input)}}) << '\n';
  }
  return 0;
}

}  // namespace

void add_score(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("score", "Score predictions: JSON lines in, {\"score\"} lines out");
  auto metric = std::make_shared<std::string>();
  command->add_option("--metric", *metric, "exact_match, count, mcq, relaxed_accuracy, anls or vqa_accuracy")->required();
  command->callback([&action, metric] { action = [metric](const Session& session) { return session.is_root() ? score(*metric) : 0; }; });
}

}  // namespace retain::launch
