// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "framework/report/html.h"
#include "framework/report/svg.h"

namespace retain::framework {
namespace {

Study two_stages() {
  Study study{"A study", "clean", 1000, {{"digits", "exact_match", "digits", 10}, {"count", "count", "count", 10}, {"color", "exact_match", "", 10}}, {}, {}};
  study.base = {"", "b", {{"digits", 0.1}, {"count", 0.0}, {"color", 0.8}}, {{"number_bias", 0.001}}};
  study.branches.push_back({"llm", 500, {{"digits", "s1", {{"digits", 0.6}, {"count", 0.0}, {"color", 0.7}}, {{"number_bias", 0.2}}},
                                         {"count", "s2", {{"digits", 0.4}, {"count", 0.5}, {"color", 0.75}}, {{"number_bias", 0.4}}}}});
  return study;
}

TEST(Study, MeasuresAreThePapers) {
  const Study study = two_stages();
  const Measures m = measure(study, study.branches[0]);
  EXPECT_NEAR(m.target_learning, (50 + 50) / 2.0, 1e-9);
  EXPECT_NEAR(m.target_forgetting, (-20 + 0) / 2.0, 1e-9);
  EXPECT_NEAR(m.target_overall, (30 + 50) / 2.0, 1e-9);
  EXPECT_NEAR(m.held_out_forgetting, -5, 1e-9);
}

TEST(Study, WithoutBenchmarksNothingIsClaimed) {
  Study study = two_stages();
  study.benchmarks.clear();
  EXPECT_TRUE(std::isnan(measure(study, study.branches[0]).target_learning));
  EXPECT_NE(measures_table(study).find("–"), std::string::npos);
}

TEST(Study, JsonRoundTrip) {
  const Study study = two_stages();
  const json::value first = to_json(study);
  EXPECT_EQ(first, to_json(study_from_json(json::parse(json::serialize(first)), "x")));
  EXPECT_THROW(study_from_json(json::parse("{}"), "x"), Error);
}

TEST(Html, HoldsTheFiguresAndNoNetwork) {
  Study study = two_stages();
  study.title = "<script>alert(1)</script>";
  const std::string html = to_html(study);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("http"), std::string::npos);
  EXPECT_NE(html.find("data-value=\"-5.0000"), std::string::npos) << html;
  EXPECT_NE(html.find("<svg"), std::string::npos);
}

TEST(Svg, EmptyAndFlatChartsAreFinite) {
  for (const Chart& chart : {Chart{"empty", "x", "y", {}, true, {}}, Chart{"flat", "x", "y", {}, true, {{"a", {1, 2}, {3, 3}}}}})
    EXPECT_EQ(to_svg(chart).find("nan"), std::string::npos);
}

}  // namespace
}  // namespace retain::framework
