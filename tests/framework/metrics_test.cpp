// SPDX-License-Identifier: Apache-2.0
// Every metric against the reference cases of tests/fixtures/metrics.
#include <gtest/gtest.h>

#include "framework/base/json.h"
#include "framework/metrics/registry.h"

namespace retain::framework {
namespace {

std::vector<std::string> texts(const json::object& object, const char* key) {
  std::vector<std::string> values;
  if (const json::value* array = object.if_contains(key))
    for (const json::value& item : array->as_array()) values.emplace_back(item.as_string().c_str());
  return values;
}

TEST(Metrics, EqualTheReferenceCases) {
  const json::value document = read_json(RETAIN_FIXTURES "/metrics/metrics_cases.json");
  std::size_t compared = 0;
  for (const json::value& item : document.at("cases").as_array()) {
    const json::object& line = item.as_object();
    const std::string name(line.at("metric").as_string());
    const ScoreInput input{std::string(line.at("prediction").as_string()), texts(line, "references"), texts(line, "options")};
    EXPECT_NEAR(metric_named(name)(input), line.at("score").to_number<double>(), 1e-9) << json::serialize(line);
    ++compared;
  }
  EXPECT_EQ(compared, document.at("cases").as_array().size());
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
