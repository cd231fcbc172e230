// SPDX-License-Identifier: Apache-2.0
// Every metric against the reference cases of tests/fixtures/metrics.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "framework/base/json.h"
#include "framework/metrics/average.h"
#include "framework/metrics/registry.h"

namespace retain::framework {
namespace {

std::vector<std::string> texts(const json::object& object, const char* key) {
  std::vector<std::string> values;
  if (const json::value* array = object.if_contains(key))
    for (const json::value& item : array->as_array()) values.emplace_back(item.as_string());
  return values;
}

std::string text(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value ? std::string(value->as_string()) : std::string();
}

ScoreInput input_of(const json::object& line) {
  return {text(line, "prediction"), texts(line, "references"), texts(line, "options"), text(line, "question"), text(line, "category")};
}

TEST(Metrics, EqualTheReferenceCases) {
  const json::value document = read_json(RETAIN_FIXTURES "/metrics/metrics_cases.json");
  std::size_t compared = 0;
  for (const json::value& item : document.at("cases").as_array()) {
    const json::object& line = item.as_object();
    EXPECT_NEAR(metric_named(text(line, "metric"))(input_of(line)), line.at("score").to_number<double>(), 1e-9) << json::serialize(line);
    ++compared;
  }
  EXPECT_EQ(compared, document.at("cases").as_array().size());
}

TEST(Metrics, BenchmarksOwnRulesEqualASecondImplementation) {
  const json::value document = read_json(RETAIN_FIXTURES "/metrics/benchmark_cases.json");
  std::set<std::string> seen;
  for (const json::value& item : document.at("cases").as_array()) {
    const json::object& line = item.as_object();
    const ScoringMode mode = text(line, "mode") == "clean" ? ScoringMode::clean : ScoringMode::faithful;
    const double score = metric_named(text(line, "metric"), mode)(input_of(line));
    if (line.at("score").is_null())
      EXPECT_TRUE(std::isnan(score)) << json::serialize(line);
    else
      EXPECT_NEAR(score, line.at("score").to_number<double>(), 1e-9) << json::serialize(line);
    seen.insert(text(line, "metric") + " " + text(line, "mode"));
  }
  EXPECT_GE(document.at("cases").as_array().size(), 1000U);
  for (const std::string& name : metric_names()) EXPECT_TRUE(seen.contains(name + " faithful")) << name;
}

TEST(Metrics, AverageOverSamplesOrOverCategories) {
  const double none = std::nan("");
  const std::vector<ScoredSample> samples{{1, "a"}, {0, "a"}, {1, "a"}, {1, "a"}, {0, "b"}, {none, "b"}, {none, "c"}};
  const BenchmarkScore plain = average_scores(samples, Average::samples);
  EXPECT_DOUBLE_EQ(plain.score, 0.6);
  EXPECT_EQ(plain.samples, 5);
  ASSERT_EQ(plain.categories.size(), 2U);
  EXPECT_DOUBLE_EQ(plain.categories[0].score, 0.75);
  EXPECT_EQ(plain.categories[1].samples, 1);
  EXPECT_DOUBLE_EQ(average_scores(samples, Average::categories).score, 0.375);
  EXPECT_TRUE(average_scores({{1, ""}, {0, ""}}, Average::samples).categories.empty());
  EXPECT_THROW(average_scores({{none, ""}}, Average::samples), Error);
  EXPECT_THROW(average_from_name("median"), Error);
}

TEST(Metrics, UnknownNameSuggestsTheNearest) {
  try {
    metric_named("exact_mach");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::config_invalid);
    EXPECT_NE(std::string(error.what()).find("exact_match"), std::string::npos);
  }
}

}  // namespace
}  // namespace retain::framework
