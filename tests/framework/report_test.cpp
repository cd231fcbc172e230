// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <regex>

#include "framework/base/random.h"
#include "framework/report/drift.h"
#include "framework/report/findings.h"
#include "framework/report/html.h"
#include "framework/report/markdown.h"
#include "framework/report/probe_figures.h"
#include "framework/report/pooled.h"
#include "framework/report/samples.h"
#include "framework/report/svg.h"
#include "framework/report/tables.h"
#include "tests/framework/report_support.h"
#include "tests/support/scratch.h"

namespace retain::framework {
namespace {

using testing::kSamples;
using testing::probed_study;
using testing::small_study;
using testing::store_of;
using testing::study_with_extra;

Report report_of(const Study& study, const KeptAnswers& answers = {}) { return analyse({{study.title, study, answers}}); }

std::vector<double> data_values(const std::string& html) {
  std::vector<double> values;
  const std::regex attribute("data-value=\"([^\"]*)\"");
  for (std::sregex_iterator it(html.begin(), html.end(), attribute), end; it != end; ++it) values.push_back(std::stod((*it)[1]));
  return values;
}

TEST(Study, MeasuresAreThePapers) {
  const Study study = small_study();
  const Measures m = measure(study, study.branches[0]);
  EXPECT_NEAR(m.target_learning, (50 + 50) / 2.0, 1e-9);
  EXPECT_NEAR(m.target_forgetting, (-20 + 0) / 2.0, 1e-9);
  EXPECT_NEAR(m.target_overall, (30 + 50) / 2.0, 1e-9);
  EXPECT_NEAR(m.held_out_forgetting, (-25 - 45) / 2.0, 1e-9);
}

TEST(Study, AnExtraBenchmarkIsShownAndCountsNowhere) {
  const tests::Scratch scratch;
  const Study plain = small_study(), extra = study_with_extra();
  for (std::size_t branch = 0; branch < 2; ++branch) {
    EXPECT_EQ(measure(extra, extra.branches[branch]).held_out_forgetting, measure(plain, plain.branches[branch]).held_out_forgetting);
    EXPECT_EQ(measure(extra, extra.branches[branch]).target_learning, measure(plain, plain.branches[branch]).target_learning);
    EXPECT_EQ(held_out_mean(extra, extra.branches[branch].stages[1]), held_out_mean(plain, plain.branches[branch].stages[1]));
  }
  EXPECT_EQ(measures_table(extra), measures_table(plain));
  const Report without = report_of(plain, KeptAnswers(store_of(plain, scratch / "plain")));
  const Report with = report_of(extra, KeptAnswers(store_of(extra, scratch / "extra")));
  using Maker = Table (*)(const Report&);
  for (const Maker table : std::initializer_list<Maker>{measures_table, pairs_table, recovery_table, recovery_sums_table, drift_table, seeds_table})
    EXPECT_EQ(to_html(table(with)), to_html(table(without)));
  const auto figures = [](const std::string& text) {  // verdicts and all tables but the one that shows every benchmark
    const std::size_t from = text.find("## In short"), changes = text.find("## Change of every benchmark"), after = text.find("\n## ", changes);
    return text.substr(from, changes - from) + text.substr(after);
  };
  const std::string text = to_markdown(with);
  EXPECT_NE(text.find("2 target and 2 held-out benchmarks, 1 extra that count in no mean;"), std::string::npos) << text;
  EXPECT_EQ(figures(text), figures(to_markdown(without)));
  EXPECT_NE(to_html(matrix_table(with, 0)).find("clockread ○"), std::string::npos);
  EXPECT_NE(to_html(changes_table(with, 0)).find("clockread ○"), std::string::npos);
  EXPECT_NEAR(with.branches[0].changes.at("clockread").estimate, 40, 1e-9);
  EXPECT_TRUE(with.branches[0].changes.at("clockread").known());
  EXPECT_EQ(to_html(matrix_table(without, 0)).find("○"), std::string::npos);
}

TEST(Study, RecordsOfEarlierVersionsNameNoKind) {
  const Study extra = study_with_extra();
  json::value record = to_json(extra);
  EXPECT_EQ(record.at("benchmarks").at(4).at("kind").as_string(), "extra");
  EXPECT_EQ(study_from_json(record, "x").benchmarks[4].kind(), BenchmarkKind::extra);
  for (json::value& benchmark : record.at("benchmarks").as_array()) benchmark.as_object().erase("kind");
  const Study old = study_from_json(record, "x");
  EXPECT_EQ(old.benchmarks[0].kind(), BenchmarkKind::target);
  EXPECT_EQ(old.benchmarks[2].kind(), BenchmarkKind::held_out);
  EXPECT_EQ(old.benchmarks[4].kind(), BenchmarkKind::held_out);
}

TEST(Study, WithoutBenchmarksNothingIsClaimed) {
  Study study = small_study();
  study.benchmarks.clear();
  EXPECT_TRUE(std::isnan(measure(study, study.branches[0]).target_learning));
  EXPECT_NE(measures_table(study).find("–"), std::string::npos);
  const Report report = report_of(study);
  EXPECT_EQ(to_html(report).find("nan"), std::string::npos);
  EXPECT_EQ(to_markdown(report).find("nan"), std::string::npos);
  EXPECT_EQ(to_markdown(report).find("| appears"), std::string::npos);
}

TEST(Study, JsonRoundTrip) {
  Study study = small_study();
  study.branches[1].order = "reversed";
  study.branches[1].seed = 7;
  const json::value first = to_json(study);
  EXPECT_EQ(first, to_json(study_from_json(json::parse(json::serialize(first)), "x")));
  EXPECT_THROW(study_from_json(json::parse("{}"), "x"), Error);
}

TEST(Analysis, IntervalsComeFromTheKeptAnswers) {
  const tests::Scratch scratch;
  const Study study = small_study();
  const Report report = report_of(study, KeptAnswers(store_of(study, scratch / "store")));
  const BranchFigures& llm = report.branches[0];
  EXPECT_NEAR(llm.held_out.estimate, -35, 1e-9);
  EXPECT_TRUE(llm.held_out.below(0));
  EXPECT_GT(llm.held_out.low, -60);
  EXPECT_TRUE(llm.learning.above(0));
  EXPECT_TRUE(llm.rebound.above(0));
  EXPECT_NEAR(llm.rebound.estimate, 25, 1e-9);
  EXPECT_NEAR(llm.changes.at("shape").estimate, -45, 1e-9);
  ASSERT_EQ(report.pairs.size(), 1U);
  EXPECT_NEAR(report.pairs[0].held_out.estimate, 32.5, 1e-9);
  EXPECT_EQ(report.pairs[0].held_out_samples.second_only, 8 + 18);
  EXPECT_EQ(report.pairs[0].held_out_samples.first_only, 0);
  EXPECT_EQ(report.pairs[0].targets.first_only, 4);
  EXPECT_NEAR(llm.recovery.dropped, (50 + 70) / 2.0, 1e-9);
  EXPECT_NEAR(llm.recovery.lost, (25 + 45) / 2.0, 1e-9);
  ASSERT_EQ(report.drifts.size(), 1U);
  EXPECT_EQ(report.drifts[0].change.size(), 4U);
}

TEST(Analysis, WithoutAnswersThereIsNoInterval) {
  const Report report = report_of(small_study());
  EXPECT_FALSE(report.branches[0].held_out.known());
  EXPECT_NEAR(report.branches[0].held_out.estimate, -35, 1e-9);
  EXPECT_EQ(to_html(measures_table(report)).find("data-low"), std::string::npos);
  EXPECT_EQ(to_html(changes_table(report, 0)).find("data-low"), std::string::npos);
  EXPECT_TRUE(std::isnan(report.pairs.at(0).targets.p)) << "no test without samples";
}

TEST(Analysis, AnswersToOtherQuestionsAreNotPaired) {
  const tests::Scratch scratch;
  const Study study = small_study();
  const Store store = store_of(study, scratch / "store");
  {
    const StoreLock lock(store, "test");
    json::object other = testing::evaluation_json(study.benchmarks[2], study.base);
    other["answers"].as_array()[3].as_object()["id"] = "another";
    remove_result(store, lock, "evaluate-base0-color");
    put_result(store, lock, "evaluate-base0-color", other);
  }
  const Report report = report_of(study, KeptAnswers(store));
  EXPECT_FALSE(report.branches[0].changes.at("color").known());
  EXPECT_TRUE(report.branches[0].changes.at("shape").known());
  EXPECT_FALSE(report.branches[0].held_out.known());
}

TEST(Analysis, OneSampleIsNoCertainty) {
  const tests::Scratch scratch;
  Study study = small_study();
  study.base.scores["color"] = 1;
  StudyPoint& last = study.branches[0].stages.back();
  last.scores["color"] = 0;
  const Store store = store_of(study, scratch / "store");
  {
    const StoreLock lock(store, "test");
    for (const StudyPoint* point : {&study.base, &last}) {
      json::object single = testing::evaluation_json(study.benchmarks[2], *point);
      single["answers"].as_array().resize(1);
      single["samples"] = 1;
      remove_result(store, lock, "evaluate-" + point->stage + "-color");
      put_result(store, lock, "evaluate-" + point->stage + "-color", single);
    }
  }
  const Report report = report_of(study, KeptAnswers(store));
  EXPECT_NEAR(report.branches[0].changes.at("color").estimate, -100, 1e-9);
  EXPECT_FALSE(report.branches[0].changes.at("color").known());
  EXPECT_TRUE(report.branches[0].changes.at("shape").known());
}

TEST(Analysis, SeedsOfARecipeAreOneGroup) {
  Study study = small_study();
  study.branches[1].recipe = "llm";
  study.branches[0].seed = 1;
  study.branches[1].seed = 2;
  const Report report = report_of(study);
  ASSERT_EQ(report.groups.size(), 1U);
  EXPECT_NEAR(report.groups[0].held_out.mean, (-35 - 2.5) / 2, 1e-9);
  EXPECT_NEAR(report.groups[0].held_out.deviation, 32.5 / std::sqrt(2.0), 1e-9);
  EXPECT_EQ(report.branches[1].name, "llm · seed 2");
  EXPECT_EQ(seeds_table(report).rows.size(), 1U);
  EXPECT_TRUE(report.pairs.empty());
}

TEST(Findings, AreToldApart) {
  EXPECT_EQ(verdict_of({1, 0.5, 2}, true), Verdict::appears);
  EXPECT_EQ(verdict_of({1, 0.5, 2}, false), Verdict::contradicted);
  EXPECT_EQ(verdict_of({1, -0.5, 2}, true), Verdict::open);
  EXPECT_EQ(verdict_of(without_interval(1), true), Verdict::open);
  EXPECT_EQ(verdict_of(without_interval(NAN), true), Verdict::unmeasured);
  const tests::Scratch scratch;
  const Study study = small_study();
  const std::string text = to_markdown(report_of(study, KeptAnswers(store_of(study, scratch / "store"))));
  EXPECT_NE(text.find("loses held-out skills | llm | -35.0 ["), std::string::npos) << text;
  EXPECT_NE(text.find("sa_proj loses fewer held-out skills than the whole language model | sa_proj − llm | +32.5 ["), std::string::npos) << text;
  EXPECT_NE(text.find("(mlp_gate_up) learns the targets | – | – | not measured"), std::string::npos) << text;
}

/// Two seeds of each recipe of small_study(); the second of `llm` forgets less.
Study seeded_study() {
  Study study = small_study();
  for (int copy = 0; copy < 2; ++copy) {
    StudyBranch branch = study.branches[static_cast<std::size_t>(copy)];
    branch.seed = 1;
    for (StudyPoint& point : branch.stages) point.stage += "-1";
    if (copy == 0) branch.stages[1].scores["shape"] = 0.65;
    study.branches.push_back(branch);
  }
  study.branches[0].seed = study.branches[1].seed = 0;
  return study;
}

TEST(Pooled, RunsOfARecipeAreOneFigure) {
  const tests::Scratch scratch;
  Study study = seeded_study();
  study.branches.push_back(study.branches[0]);
  study.branches.back().seed = 2;
  study.branches.back().stages.pop_back();  // under way
  const Report report = report_of(study, KeptAnswers(store_of(study, scratch / "store")));
  const std::vector<PooledRecipe> pooled = pool_recipes(report);
  ASSERT_EQ(pooled.size(), 2U);
  EXPECT_EQ(pooled[0].name, "llm (2 runs)");
  EXPECT_NEAR(pooled[0].held_out.estimate, (-35 - 25) / 2.0, 1e-9);
  EXPECT_NEAR(pooled[0].learning.estimate, 50, 1e-9);
  EXPECT_NEAR(pooled[0].kept.estimate, 40, 1e-9);
  EXPECT_LT(pooled[0].held_out.low, -30 - 12.7 * 5) << "-35 and -25";
  EXPECT_NEAR(pooled[0].probes.at("number_bias").estimate, 100 * (0.199 + 0.399) / 2, 1e-9);
  EXPECT_NEAR(pooled[0].held_out_by_stage.at(0), -60, 1e-9);
  EXPECT_NEAR(pooled[0].probes_by_stage.at("number_bias").at(1), 40, 1e-9);
  const PooledPair pair = pool_pair(report, pooled[1], pooled[0]);
  EXPECT_EQ(pair.runs, 2U);
  EXPECT_NEAR(pair.held_out.estimate, -2.5 + 30, 1e-9);
  EXPECT_NEAR(pair.learning.estimate, -10, 1e-9);
  EXPECT_NEAR(pair.balance.estimate, 17.5, 1e-9);
  EXPECT_LT(pair.held_out.low, 27.5 - 12.7 * 5) << "22.5 and 32.5: two runs reach 12.7 standard errors, t(0.975, 1)";
  EXPECT_EQ(verdict_of(pair.held_out, true), Verdict::open);
  EXPECT_NEAR(pool_stage_cost(report, pooled[0], {"count"}).estimate, (25 + 35) / 2.0 + 60, 1e-9);
  EXPECT_TRUE(std::isnan(pool_stage_cost(report, pooled[0], {"anls"}).estimate));
  ASSERT_EQ(report.drifts.size(), 1U);
  EXPECT_EQ(units_of(report.drifts[0]), "8 stages of 2 recipes in 1 order") << "the run under way shares its stage";
  const std::string text = to_markdown(report);
  EXPECT_NE(text.find("rests on 9 stages in 5 runs, 4 of them with all 2 stages"), std::string::npos) << text;
  EXPECT_NE(text.find("sa_proj − llm (2 runs) | +27.5 ["), std::string::npos) << text;
}

TEST(Pooled, AnOrderCountsOnceForAllItsSeeds) {
  const tests::Scratch scratch;
  Study study = seeded_study();
  for (std::size_t i = 0; i < 4; ++i) {
    StudyBranch branch = study.branches[i];
    branch.order = "reversed";
    for (StudyPoint& point : branch.stages) point.stage += "-reversed";
    branch.stages[1].scores["color"] -= 0.2;
    study.branches.push_back(branch);
  }
  const Report report = report_of(study, KeptAnswers(store_of(study, scratch / "store")));
  const PooledRecipe llm = pool_recipes(report).at(0);
  EXPECT_EQ(llm.name, "llm (4 runs of 2 orders)");
  EXPECT_NEAR(llm.held_out.estimate, -35, 1e-9);
  EXPECT_LT(llm.held_out.low, -35 - 12.7 * 5) << "two orders, -30 and -40, however many seeds";
}

/// Five recipes in three orders; every seed gives the same figures, in stages of its own.
Study drifting_study(int seeds) {
  Study study = small_study();
  study.branches.clear();
  const std::vector<std::string> recipes{"llm", "mlp", "sa_proj", "moe (top1)", "moe (blend)"}, orders{"given", "reversed", "mixed"};
  for (int seed = 0; seed < seeds; ++seed)
    for (const std::string& recipe : recipes)
      for (const std::string& order : orders) {
        Random random(1, recipe + order);
        StudyBranch branch{recipe, 100, {}, order, seed};
        for (const char* task : {"digits", "count"}) {
          const double bias = random.uniform(), score = 0.5 * (1 - bias) + 0.3 * random.uniform();
          branch.stages.push_back({task, recipe + order + task + std::to_string(seed), {{"color", score}, {"shape", score}}, {{"number_bias", bias}}});
        }
        study.branches.push_back(branch);
      }
  return study;
}

TEST(Drift, MoreSeedsSayNoMore) {
  const Report one = report_of(drifting_study(1)), many = report_of(drifting_study(6));
  const Drift &few = one.drifts.at(0), &more = many.drifts.at(0);
  EXPECT_EQ(units_of(few), "30 stages of 4 recipes in 3 orders") << "readings of one recipe are one recipe";
  EXPECT_EQ(units_of(more), "180 stages of 4 recipes in 3 orders");
  for (const auto figure : {&Drift::pearson, &Drift::spearman, &Drift::steps}) {
    EXPECT_TRUE((few.*figure).known());
    EXPECT_NEAR((few.*figure).estimate, (more.*figure).estimate, 1e-9);
    EXPECT_NEAR((few.*figure).low, (more.*figure).low, 1e-9);
    EXPECT_NEAR((few.*figure).high, (more.*figure).high, 1e-9);
  }
  EXPECT_NE(to_markdown(many).find("number_bias, 180 stages of 4 recipes in 3 orders"), std::string::npos);
}

TEST(Drift, SeedsAreDrawnWhereNothingElseIs) {
  Study study = drifting_study(5);
  std::erase_if(study.branches, [](const StudyBranch& branch) { return branch.recipe != "llm" || branch.order != "given"; });
  double shift = 0;
  for (StudyBranch& branch : study.branches)
    for (StudyPoint& point : branch.stages) point.probes["number_bias"] += shift += 0.07;
  const Report seeds = report_of(study);
  EXPECT_TRUE(seeds.drifts.at(0).spearman.known());
  study.branches.resize(1);
  const Report alone = report_of(study);
  EXPECT_FALSE(alone.drifts.at(0).spearman.known()) << "one run: nothing to draw";
}

TEST(Pooled, WhatRecoversIsChosenByOtherQuestions) {
  const tests::Scratch scratch;
  Study study = small_study();
  const Store store = store_of(study, scratch / "store");
  // Stage 1 gets every odd question wrong, stage 2 every even one: what is lowest by one half is not by the other.
  const StoreLock lock(store, "test");
  for (const char* benchmark : {"color", "shape"})
    for (std::size_t stage = 0; stage < 2; ++stage) {
      StudyPoint& point = study.branches[0].stages[stage];
      point.scores[benchmark] = 0.5;
      const StudyBenchmark& about = study.benchmarks[benchmark == std::string("color") ? 2 : 3];
      json::object kept = testing::evaluation_json(about, point);
      for (std::size_t i = 0; i < kSamples; ++i) kept["answers"].as_array()[i].as_object()["score"] = i % 2 == stage ? 1.0 : 0.0;
      const std::string key = "evaluate-" + point.stage + "-" + benchmark;
      remove_result(store, lock, key);
      put_result(store, lock, key, kept);
    }
  const Report report = report_of(study, KeptAnswers(store));
  EXPECT_NEAR(pool_recipes(report).at(0).rebound.estimate, -50, 1e-9) << "0 for the odd questions, -100 for the even ones";
}

TEST(Html, FiguresEqualTheStores) {
  const tests::Scratch scratch;
  const Study study = probed_study();
  const Store store = store_of(study, scratch / "store");
  const Report report = analyse({{study.title, study, KeptAnswers(store), KeptReadings(store)}});
  std::vector<double> expected;
  for (const StudyPoint* point : {&study.base, &study.branches[0].stages[0], &study.branches[0].stages[1], &study.branches[1].stages[0], &study.branches[1].stages[1]}) {
    for (const StudyBenchmark& benchmark : study.benchmarks) expected.push_back(100 * point->scores.at(benchmark.name));
    expected.push_back(100 * held_out_mean(study, *point));
  }
  EXPECT_EQ(data_values(to_html(matrix_table(report, 0))), expected);
  const std::string html = to_html(report);
  EXPECT_NE(html.find("data-value=\"" + format_number("%.17g", report.branches[0].held_out.estimate) + "\" data-low=\"" +
                      format_number("%.17g", report.branches[0].held_out.low) + "\""), std::string::npos);
  EXPECT_NE(html.find("✗ &lt;b&gt;llm2&lt;/b&gt;"), std::string::npos) << "answers side by side, escaped";
  EXPECT_EQ(compare_answers(report, 0).rows.size(), 5U * 3);
  EXPECT_NEAR(recovery_sums_table(report).rows.at(0).at(1).value, 60, 1e-9);
  EXPECT_EQ(html.find("http"), std::string::npos);
  if (const char* folder = std::getenv("RETAIN_PAGE")) {  // for tests/framework/report_page.py
    std::ofstream(std::filesystem::path(folder) / "report.html", std::ios::binary) << html;
    std::ofstream(std::filesystem::path(folder) / "study.json", std::ios::binary) << json::serialize(to_json(study));
  }
}

TEST(Probes, CurvesLayersAndAnswersAreTheStores) {
  const tests::Scratch scratch;
  const Study study = probed_study();
  const Store store = store_of(study, scratch / "store");
  const Report report = analyse({{study.title, study, KeptAnswers(store), KeptReadings(store)}});
  std::vector<double> figures, layers;
  const auto expect = [&](double step, const std::map<std::string, double>& probes, bool base) {
    for (const auto& [name, value] : probes) figures.insert(figures.end(), {step, value});
    const double value = probes.at("layers");
    if (!base) layers.insert(layers.end(), {step, 0, value / 2, value, step, 1, value / 4, value * 3});
  };
  expect(0, study.base.probes, true);
  for (const StudyBranch& branch : study.branches)
    for (const StudyPoint& point : branch.stages) {
      for (const StudyStep& step : point.steps) expect(static_cast<double>(step.step), step.probes, false);
      expect(50, point.probes, false);
    }
  EXPECT_EQ(data_values(to_html(probes_table(report, 0))), figures);
  EXPECT_EQ(data_values(to_html(layers_table(report, 0))), layers);
  const std::vector<Chart> curves = step_curves(report, 0);
  ASSERT_EQ(curves.size(), 2U) << "one a stage";
  EXPECT_EQ(curves[1].x_ticks, (std::vector<std::string>{"start", "1", "10", "end"}));
  EXPECT_EQ(curves[1].series.at(0).y.front(), study.branches[0].stages[0].probes.at("layers")) << "a stage starts where the last one ended";
  EXPECT_EQ(curves[1].series.at(0).y.back(), study.branches[0].stages[1].probes.at("layers"));
  ASSERT_EQ(layer_curves(report, 0).size(), 1U);
  EXPECT_EQ(layer_curves(report, 0)[0].series.size(), 4U) << "two recipes, attention and MLP";
  const std::vector<WrittenTable> written = written_answers(report, 0);
  ASSERT_EQ(written.size(), 1U);
  EXPECT_EQ(written[0].rows.size(), 1U + 2 * 2 * 3);
  EXPECT_EQ(written[0].rows.back().answers, (std::vector<std::string>{"<i>probe-words-sa2</i>"}));
  EXPECT_NE(to_html(report).find("&lt;i&gt;probe-words-sa2-10&lt;/i&gt;"), std::string::npos);
  const json::value round = to_json(study);
  EXPECT_EQ(round, to_json(study_from_json(json::parse(json::serialize(round)), "x")));
  EXPECT_TRUE(step_curves(report_of(small_study()), 0).empty());
}

TEST(Html, TitlesAndNamesCannotBreakOut) {
  Study study = small_study();
  study.title = "<script>alert(1)</script>";
  study.branches[0].recipe = "<img src=x>";
  const std::string html = to_html(report_of(study));
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
}

TEST(Html, StoresAreCompared) {
  Study other = small_study();
  other.title = "Another";
  const Report report = analyse({{"A study", small_study(), {}}, {other.title, other, {}}});
  const std::string html = to_html(report);
  EXPECT_NE(html.find("llm @ Another"), std::string::npos);
  EXPECT_NE(html.find("id=\"matrix-2\""), std::string::npos);
  EXPECT_EQ(report.pairs.size(), 2U) << "recipes are compared within a store";
  EXPECT_THROW(analyse({}), Error);
}

TEST(Svg, EmptyAndFlatChartsAreFinite) {
  for (const Chart& chart : {Chart{"empty", "x", "y", {}, true, {}}, Chart{"flat", "x", "y", {}, true, {{"a", {1, 2}, {3, 3}}}}})
    EXPECT_EQ(to_svg(chart).find("nan"), std::string::npos);
  EXPECT_EQ(split_bars("none", "a", "b", {{"x", 0, 0}}).find("nan"), std::string::npos);
}

}  // namespace
}  // namespace retain::framework
