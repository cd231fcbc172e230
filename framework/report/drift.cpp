// SPDX-License-Identifier: Apache-2.0
#include "framework/report/drift.h"

#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "framework/statistics/correlation.h"
#include "framework/statistics/crossed_correlation.h"

namespace retain::framework {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

/// From the stage before, whose probe was read, to this one.
struct Step {
  double change, held_out;
};

/// What every stage of a Drift came with.
struct Origins {
  std::vector<Step> steps;
  Draws recipes, orders, runs;
};

/// Readings of one recipe, "moe (top1)" and "moe (blend)", are of the same training.
std::string taught_recipe(const StudyBranch& branch) { return branch.recipe.substr(0, branch.recipe.find(" (")); }

/// The number of a name, by first appearance.
std::size_t number_of(const std::string& name, std::map<std::string, std::size_t>& numbers) {
  return numbers.emplace(name, numbers.size()).first->second;
}

/// All distinct stages: those that branches share, as orders do which begin alike, count once.
Origins collect(const Report& report, double base, Drift& drift) {
  Origins origins;
  const Study& study = report.sources[drift.source].study;
  std::set<std::pair<std::string, double>> seen;
  std::map<std::string, std::size_t> recipes, orders;
  for (std::size_t run = 0; run < report.branches.size(); ++run) {
    if (report.branches[run].source != drift.source) continue;
    const StudyBranch& branch = report.branch_of(report.branches[run]);
    Step before{0, 0};
    for (const StudyPoint& point : branch.stages) {
      const auto found = point.probes.find(drift.probe);
      const double held_out = 100 * (held_out_mean(study, point) - held_out_mean(study, study.base));
      if (found == point.probes.end() || std::isnan(held_out)) continue;
      const Step here{found->second - base, held_out}, step{here.change - before.change, here.held_out - before.held_out};
      before = here;
      if (!seen.insert({point.stage, held_out}).second) continue;
      drift.change.push_back(here.change);
      drift.held_out.push_back(here.held_out);
      drift.branch.push_back(run);
      origins.steps.push_back(step);
      origins.recipes.push_back(number_of(taught_recipe(branch), recipes));
      origins.orders.push_back(number_of(branch.order, orders));
      origins.runs.push_back(run);
    }
  }
  drift.recipes = recipes.size();
  drift.orders = orders.size();
  return origins;
}

Drift drift_of(const Report& report, std::size_t source, const std::string& probe, double base) {
  const Interval nothing = without_interval(kNothing);
  Drift drift{source, probe, {}, {}, {}, 0, 0, nothing, nothing, nothing};
  const Origins origins = collect(report, base, drift);
  // Seeds of a recipe in an order are no draws of their own, unless there is nothing else to draw: crossed_interval() says why.
  std::vector<Draws> kinds{origins.recipes, origins.orders};
  if (drift.recipes == 1 && drift.orders == 1) kinds = {origins.runs};
  std::vector<double> change, held_out;
  for (const Step& step : origins.steps) {
    change.push_back(step.change);
    held_out.push_back(step.held_out);
  }
  drift.pearson = crossed_correlation(pearson, drift.change, drift.held_out, kinds);
  drift.spearman = crossed_correlation(spearman, drift.change, drift.held_out, kinds);
  drift.steps = crossed_correlation(spearman, change, held_out, kinds);
  return drift;
}

std::string counted(std::size_t number, const std::string& noun) { return std::to_string(number) + " " + noun + (number == 1 ? "" : "s"); }

}  // namespace

std::vector<Drift> find_drifts(const Report& report) {
  std::vector<Drift> drifts;
  for (std::size_t source = 0; source < report.sources.size(); ++source)
    for (const auto& [probe, base] : report.sources[source].study.base.probes) drifts.push_back(drift_of(report, source, probe, base));
  return drifts;
}

std::string units_of(const Drift& drift) {
  return counted(drift.change.size(), "stage") + " of " + counted(drift.recipes, "recipe") + " in " + counted(drift.orders, "order");
}

}  // namespace retain::framework
