// SPDX-License-Identifier: Apache-2.0
// Statistics against numpy's and scipy's figures (tests/reference/make_statistics_cases.py), and against what must hold.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/base/json.h"
#include "framework/base/random.h"
#include "framework/statistics/bootstrap.h"
#include "framework/statistics/correlation.h"
#include "framework/statistics/crossed_correlation.h"
#include "framework/statistics/crossed_interval.h"
#include "framework/statistics/mcnemar.h"
#include "framework/statistics/moments.h"
#include "framework/statistics/recovery.h"
#include "framework/statistics/transfer.h"

namespace retain::framework {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

json::array cases(const char* kind) { return read_json(std::string(RETAIN_FIXTURES) + "/statistics/cases.json").at(kind).as_array(); }

std::vector<double> numbers(const json::value& value) { return json::value_to<std::vector<double>>(value); }

TEST(Moments, EqualNumpys) {
  for (const json::value& c : cases("moments")) {
    std::vector<double> values = numbers(c.at("values"));
    values.insert(values.begin() + 1, kNothing);
    const Moments found = moments(values);
    EXPECT_EQ(found.count, static_cast<std::int64_t>(values.size()) - 1);
    EXPECT_NEAR(found.mean, c.at("mean").to_number<double>(), 1e-12);
    EXPECT_NEAR(found.deviation, c.at("deviation").to_number<double>(), 1e-12);
  }
  EXPECT_TRUE(std::isnan(moments({}).mean));
  EXPECT_TRUE(std::isnan(moments(std::vector<double>{1}).deviation));
}

TEST(Bootstrap, BoundsLieAmongNumpysQuantiles) {
  for (const json::value& c : cases("bootstrap")) {
    std::vector<Stratum> strata;
    for (const json::value& s : c.at("strata").as_array()) strata.push_back({numbers(s.at("values")), s.at("weight").to_number<double>()});
    const Interval found = bootstrap(strata, {.resamples = 10000, .seed = 3});
    EXPECT_NEAR(found.estimate, c.at("estimate").to_number<double>(), 1e-12);
    if (std::all_of(strata.begin(), strata.end(), [](const Stratum& stratum) { return stratum.values.size() < 2; })) {
      EXPECT_FALSE(found.known()) << "numpy resamples a single value too";
      continue;
    }
    const std::vector<double> low = numbers(c.at("low")), high = numbers(c.at("high"));
    EXPECT_GE(found.low, low[0] - 1e-12);
    EXPECT_LE(found.low, low[1] + 1e-12);
    EXPECT_GE(found.high, high[0] - 1e-12);
    EXPECT_LE(found.high, high[1] + 1e-12);
    const Interval again = bootstrap(strata, {.resamples = 10000, .seed = 3});
    EXPECT_EQ(found.low, again.low);
    EXPECT_EQ(found.high, again.high);
  }
}

/// Deviations of the parts that a figure is made of: of runs, of questions, of single answers.
struct Spread {
  double run, question, answer;
};

/// Runs × questions with these effects; the truth is 0.
std::vector<std::vector<Stratum>> crossed_runs(Random& random, int runs, int questions, const Spread& spread) {
  std::vector<double> of_question(static_cast<std::size_t>(questions));
  for (double& effect : of_question) effect = spread.question * random.normal();
  std::vector<std::vector<Stratum>> all;
  for (int r = 0; r < runs; ++r) {
    const double of_run = spread.run * random.normal();
    Stratum stratum{{}, 1};
    for (const double effect : of_question) stratum.values.push_back(of_run + effect + spread.answer * random.normal());
    all.push_back({stratum});
  }
  return all;
}

/// Share of simulated studies whose interval holds the truth.
double coverage(int runs, const Spread& spread) {
  constexpr int kTrials = 1000, kQuestions = 80;
  Random random(5, "test/crossed");
  int held = 0;
  for (std::uint64_t trial = 0; trial < kTrials; ++trial) {
    const Interval found = crossed_interval(crossed_runs(random, runs, kQuestions, spread), {.resamples = 300, .seed = trial});
    held += found.low <= 0 && 0 <= found.high ? 1 : 0;
  }
  return held / static_cast<double>(kTrials);
}

// Three binomial deviations of 1000 trials at 95 %: 0.021.
TEST(CrossedInterval, HoldsTheTruthAsOftenAsItSaysWhereOnePartVaries) {
  for (const int runs : {2, 3, 5, 9})
    for (const Spread& spread : {Spread{1, 0, 0.1}, Spread{0, 1, 0.05}})
      EXPECT_NEAR(coverage(runs, spread), 0.95, 0.021) << runs << " runs, deviation of runs " << spread.run;
}

TEST(CrossedInterval, HoldsTheTruthAtLeastAsOftenWhereSeveralPartsVary) {
  for (const int runs : {2, 3, 5, 9})
    for (const Spread& spread : {Spread{0.5, 1, 0.5}, Spread{0.1, 1, 0.5}, Spread{0, 0.3, 1}})
      EXPECT_GE(coverage(runs, spread), 0.95 - 0.021) << runs << " runs, deviation of runs " << spread.run << ", of answers " << spread.answer;
}

TEST(CrossedInterval, RunsOfOneDrawCountOnce) {
  Random random(7, "test/draws");
  int held = 0, held_by_runs = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    std::vector<std::vector<Stratum>> runs;
    std::vector<std::size_t> draws;
    for (std::size_t order = 0; order < 3; ++order) {
      const double of_order = random.normal();
      for (int seed = 0; seed < 3; ++seed) runs.push_back({{{of_order + 0.2 * random.normal()}, 1}}), draws.push_back(order);
    }
    const Interval found = crossed_interval(runs, {}, draws), by_runs = crossed_interval(runs);
    EXPECT_NEAR(found.estimate, by_runs.estimate, 1e-12);
    held += found.low <= 0 && 0 <= found.high ? 1 : 0;
    held_by_runs += by_runs.low <= 0 && 0 <= by_runs.high ? 1 : 0;
  }
  EXPECT_NEAR(held / 1000.0, 0.95, 0.021);
  EXPECT_LT(held_by_runs / 1000.0, 0.8) << "nine runs are three orders";
  const std::vector<std::vector<Stratum>> three{{{{7}, 1}}, {{{9}, 1}}, {{{8}, 1}}};
  EXPECT_EQ(crossed_interval(three, {}, {4, 4, 4}).low, crossed_interval(three).low) << "one order: its seeds are the draws";
  EXPECT_NEAR(crossed_interval(three, {}, {0, 1, 0}).high, 8 + 12.706204736432095 * 2 / 3, 1e-9) << "7.5 of two runs, 9 of one";
  EXPECT_THROW(crossed_interval(three, {}, {1}), Error);
}

TEST(CrossedInterval, RunsAloneHaveStudentsInterval) {
  const Interval found = crossed_interval({{{{7}, 1}}, {{{9}, 1}}, {{{8}, 1}}});  // 8 ∓ t(0.975, 2) · 1 / √3
  EXPECT_NEAR(found.estimate, 8, 1e-12);
  EXPECT_NEAR(found.low, 8 - 4.302652729911275 / std::sqrt(3.0), 1e-9);
  EXPECT_NEAR(found.high, 8 + 4.302652729911275 / std::sqrt(3.0), 1e-9);
  const Interval two = crossed_interval({{{{-1}, 2}}, {{{1}, 2}}}, {.level = 0.9});  // t(0.95, 1) · 2, whose weight is 2
  EXPECT_NEAR(two.high, 2 * 6.313751514675041, 1e-9);
}

TEST(CrossedInterval, OneRunIsAPlainBootstrap) {
  const std::vector<Stratum> run{{{1, 2, 4, 8, 3, 5}, 0.5}, {{0, 1, 0, 1}, 2}};
  const Interval crossed = crossed_interval({run}, {.resamples = 10000}), plain = bootstrap(run, {.resamples = 10000});
  EXPECT_NEAR(crossed.estimate, plain.estimate, 1e-12);
  EXPECT_NEAR(crossed.low, plain.low, 0.05);
  EXPECT_NEAR(crossed.high, plain.high, 0.05);
}

TEST(CrossedInterval, TellsWhatItCannotSay) {
  EXPECT_TRUE(std::isnan(crossed_interval({}).estimate));
  EXPECT_TRUE(std::isnan(crossed_interval({{{{1, 2}, 1}}, {{{1, 2, 3}, 1}}}).estimate)) << "runs of other questions";
  EXPECT_FALSE(crossed_interval({{{{7}, 1}}}).known());
  EXPECT_TRUE(crossed_interval({{{{7}, 1}}, {{{9}, 1}}, {{{8}, 1}}}).known()) << "runs alone";
  EXPECT_THROW(crossed_interval({{{{1, 2}, 1}}}, {.resamples = 5}), Error);
}

/// Stages of recipes taught in several orders, with several seeds each.
struct Stages {
  std::vector<double> x, y;
  Draws recipes, orders, cells;
};

struct Plan {
  std::size_t recipes, orders;
  double of_recipe, of_order;  ///< deviations of what they add to x and to y
};

/// x and y are a recipe's, an order's and a stage's share each, drawn apart: their correlation is 0.
Stages uncorrelated_stages(Random& random, const Plan& plan) {
  constexpr std::size_t kSeeds = 3, kPlaces = 2;
  const auto effects = [&](std::size_t number, double size) {
    std::vector<double> all(2 * number);
    for (double& effect : all) effect = size * random.normal();
    return all;
  };
  const std::vector<double> recipe = effects(plan.recipes, plan.of_recipe), order = effects(plan.orders, plan.of_order);
  Stages stages;
  for (std::size_t cell = 0; cell < plan.recipes * plan.orders; ++cell) {
    const std::size_t r = cell / plan.orders, o = cell % plan.orders;
    for (std::size_t stage = 0; stage < kSeeds * kPlaces; ++stage) {
      stages.x.push_back(recipe[2 * r] + order[2 * o] + 0.3 * random.normal());
      stages.y.push_back(recipe[2 * r + 1] + order[2 * o + 1] + 0.3 * random.normal());
      stages.recipes.push_back(r);
      stages.orders.push_back(o);
      stages.cells.push_back(cell);
    }
  }
  return stages;
}

bool holds_zero(const Interval& found) { return found.low <= 0 && 0 <= found.high; }

TEST(CrossedCorrelation, HoldsTheTruthWhereRecipesAndOrdersAreWhatIsDrawn) {
  constexpr int kTrials = 200;  // three binomial deviations at 95 %: 0.046
  for (const Plan& plan : {Plan{12, 3, 1, 0.1}, Plan{12, 3, 1, 0.5}, Plan{5, 6, 0.5, 1}, Plan{12, 1, 1, 0}}) {
    Random random(3, "test/crossed_correlation");
    int held = 0, held_by_cells = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      const Stages stages = uncorrelated_stages(random, plan);
      held += holds_zero(crossed_correlation(spearman, stages.x, stages.y, {stages.recipes, stages.orders}));
      held_by_cells += holds_zero(crossed_correlation(spearman, stages.x, stages.y, {stages.cells}));
    }
    const std::string where = std::to_string(plan.recipes) + " recipes in " + std::to_string(plan.orders) + " orders";
    EXPECT_GE(held, (0.95 - 0.046) * kTrials) << where;
    if (plan.orders > 1) EXPECT_LE(held_by_cells, 0.85 * kTrials) << where << ": a recipe in an order is no draw of its own";
  }
}

TEST(CrossedCorrelation, TellsWhatItCannotSay) {
  const std::vector<double> x{1, 2, 3, 4, 5, 6}, y{2, 1, 4, 3, 6, 5};
  const Draws halves{0, 0, 0, 1, 1, 1}, same(6, 0), thirds{0, 0, 1, 1, 2, 2};
  EXPECT_EQ(crossed_correlation(pearson, x, y, {halves}).estimate, pearson(x, y));
  EXPECT_TRUE(crossed_correlation(pearson, x, y, {halves}).known());
  EXPECT_FALSE(crossed_correlation(pearson, x, y, {same}).known()) << "one draw";
  EXPECT_FALSE(crossed_correlation(pearson, x, y, {}).known());
  EXPECT_FALSE(crossed_correlation(pearson, x, x, {thirds}).known()) << "at 1 Fisher's z is infinite";
  EXPECT_FALSE(crossed_correlation(pearson, x, y, {{0, 0, 0, 0, 1, 1}, {0, 0, 0, 0, 0, 1}}).known()) << "two pairs without the first";
  const std::vector<double> longer{1, 2, 3, 4, 5, 6, 7}, part{2, 1, 4, 3, 6, 5, kNothing};
  EXPECT_EQ(crossed_correlation(pearson, longer, part, {{0, 0, 0, 1, 1, 1, 2}}).low, crossed_correlation(pearson, x, y, {halves}).low)
      << "a draw without a whole pair is none";
  EXPECT_THROW(crossed_correlation(pearson, x, y, {{0, 1}}), Error);
}

TEST(Bootstrap, HoldsTheTruthAboutAsOftenAsItSays) {
  Random random(11, "test/coverage");
  int held = 0;
  for (std::uint64_t trial = 0; trial < 400; ++trial) {
    Stratum stratum{std::vector<double>(120), 1};
    for (double& value : stratum.values) value = random.uniform() < 0.3 ? 1 : 0;
    const Interval found = bootstrap({stratum}, {.resamples = 400, .seed = trial});
    held += found.low <= 0.3 && 0.3 <= found.high;
  }
  EXPECT_NEAR(held / 400.0, 0.94, 0.035);
}

TEST(Bootstrap, RefusesWhatIsNone) {
  EXPECT_FALSE(bootstrap({}).known());
  EXPECT_FALSE(bootstrap({{{kNothing}, 1}}).known());
  const Interval single = bootstrap({{{4}, 0.5}, {{6, kNothing}, 0.5}});
  EXPECT_EQ(single.estimate, 5);
  EXPECT_FALSE(single.known()) << "one value a stratum: nothing to redraw, not a certainty";
  EXPECT_FALSE(single.above(0));
  EXPECT_TRUE(bootstrap({{{4}, 0.5}, {{6, 8}, 0.5}}).known());
  EXPECT_THROW(bootstrap({{{1}, 1}}, {.level = 1}), Error);
  EXPECT_THROW(bootstrap({{{1}, 1}}, {.resamples = 5}), Error);
  EXPECT_THROW(paired_differences(std::vector<double>{1}, std::vector<double>{}), Error);
}

TEST(McNemar, EqualsScipysBinomialTest) {
  for (const json::value& c : cases("mcnemar")) {
    const double p = c.at("p").to_number<double>();
    EXPECT_NEAR(mcnemar(c.at("first").to_number<std::int64_t>(), c.at("second").to_number<std::int64_t>()).p / p, 1, 1e-9);
  }
  const McNemar found = mcnemar(std::vector<double>{1, 1, 0, 0.6, kNothing}, std::vector<double>{1, 0, 1, 0.2, 1});
  EXPECT_EQ(found.first_only, 2);
  EXPECT_EQ(found.second_only, 1);
}

TEST(Correlation, EqualsScipys) {
  for (const json::value& c : cases("correlation")) {
    const std::vector<double> x = numbers(c.at("x")), y = numbers(c.at("y"));
    EXPECT_NEAR(pearson(x, y), c.at("pearson").to_number<double>(), 1e-12);
    EXPECT_NEAR(spearman(x, y), c.at("spearman").to_number<double>(), 1e-12);
    EXPECT_EQ(ranks(x), numbers(c.at("ranks")));
  }
  const std::vector<double> tenths(3, 0.1), rising{1, 2, 3};  // the mean of three tenths is not a tenth
  for (const auto& correlation : {pearson, spearman}) {
    EXPECT_TRUE(std::isnan(correlation(std::vector<double>{1, 1, 1}, rising)));
    EXPECT_TRUE(std::isnan(correlation(tenths, tenths)));
    EXPECT_TRUE(std::isnan(correlation(tenths, rising)));
    EXPECT_TRUE(std::isnan(correlation(rising, tenths)));
  }
  EXPECT_THROW(pearson(std::vector<double>{1}, std::vector<double>{}), Error);
}

TEST(Recovery, GivesBackLevelByLevel) {
  const std::vector<Drop> drops = recovery(std::vector<double>{0.8, 0.5, 0.6, kNothing, 0.7, 0.65});
  ASSERT_EQ(drops.size(), 2U);
  EXPECT_EQ(drops[0].stage, 1U);
  EXPECT_NEAR(drops[0].size, 0.3, 1e-12);
  EXPECT_NEAR(drops[0].lost, 0.1, 1e-12);
  ASSERT_EQ(drops[0].returns.size(), 2U);
  EXPECT_EQ(drops[0].returns[1].stage, 4U);
  EXPECT_NEAR(drops[0].returns[1].amount, 0.1, 1e-12);
  EXPECT_NEAR(drops[1].lost, 0.05, 1e-12);
  EXPECT_NEAR(sum_of(drops).share(), 0.2 / 0.35, 1e-12);
}

TEST(Recovery, LossesAddUpToMaximumMinusEnd) {
  Random random(5, "test/recovery");
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> series(static_cast<std::size_t>(1 + random.below(12)));
    for (double& value : series) value = random.uniform();
    const std::vector<Drop> drops = recovery(series);
    EXPECT_NEAR(sum_of(drops).lost, *std::max_element(series.begin(), series.end()) - series.back(), 1e-12);
    for (const Drop& drop : drops) {
      double whole = drop.lost;
      for (const Return& part : drop.returns) whole += part.amount;
      EXPECT_NEAR(whole, drop.size, 1e-12);
    }
  }
}

TEST(Transfer, FollowsTheDefinitions) {
  const TransferMeasures found = transfer({{0.1, 0.2, 0.0}, {0.9, 0.3, 0.1}, {0.95, 0.8, 0.2}, {0.5, 0.6, 0.7}});
  EXPECT_NEAR(found.learning, (0.8 + 0.6 + 0.7) / 3, 1e-12);
  EXPECT_NEAR(found.forgetting, (-0.4 - 0.2) / 3, 1e-12);
  EXPECT_NEAR(found.overall, (0.4 + 0.4 + 0.7) / 3, 1e-12);
  EXPECT_NEAR(found.maximum_forgetting, (0.45 + 0.2) / 2, 1e-12);
  EXPECT_NEAR(found.backward_transfer, (-0.4 - 0.2) / 2, 1e-12);
  EXPECT_NEAR(found.forward_transfer, (0.1 + 0.2) / 2, 1e-12);
  EXPECT_TRUE(std::isnan(transfer({{0.1}, {0.9}}).backward_transfer));
  EXPECT_THROW(transfer({{0.1, 0.2}}), Error);
}

}  // namespace
}  // namespace retain::framework
