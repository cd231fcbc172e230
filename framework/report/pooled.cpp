// SPDX-License-Identifier: Apache-2.0
#include "framework/report/pooled.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "framework/report/probe_figures.h"
#include "framework/report/run_figure.h"

namespace retain::framework {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
using Questions = RunFigure::Questions;

/// Of every run the number of its order of tasks, by first appearance.
std::vector<std::size_t> orders_of(const Report& report, const std::vector<std::size_t>& runs) {
  std::vector<std::string> orders;
  std::vector<std::size_t> numbers;
  for (const std::size_t run : runs) {
    const std::string& order = report.branch_of(report.branches[run]).order;
    numbers.push_back(static_cast<std::size_t>(std::find(orders.begin(), orders.end(), order) - orders.begin()));
    if (numbers.back() == orders.size()) orders.push_back(order);
  }
  return numbers;
}

/// " (9 runs of 3 orders)"; nothing for one run.
std::string counted_runs(const Report& report, const std::vector<std::size_t>& runs) {
  if (runs.size() < 2) return "";
  const std::vector<std::size_t> numbers = orders_of(report, runs);
  const std::size_t orders = 1 + *std::max_element(numbers.begin(), numbers.end());
  return " (" + std::to_string(runs.size()) + " runs" +
         (orders > 1 && orders < runs.size() ? " of " + std::to_string(orders) + " orders)" : ")");
}

/// `fill(run's branch, figure)` for every run, pooled. Unknown where one run's is. Orders of tasks are what is drawn where there are
/// several: what an order does it does with every seed, so that more seeds say nothing more about other orders.
template <class Fill>
Interval pool(const Report& report, const std::vector<std::size_t>& runs, const Fill& fill) {
  std::vector<std::vector<Stratum>> all;
  for (const std::size_t run : runs) {
    RunFigure figure(report.sources[report.branches[run].source]);
    fill(run, figure);
    auto strata = figure.strata();
    if (!strata) return without_interval(kNothing);
    all.push_back(std::move(*strata));
  }
  return crossed_interval(all, {}, orders_of(report, runs));
}

std::vector<const StudyBenchmark*> held_out_of(const Study& study) { return benchmarks_of(study.benchmarks, BenchmarkKind::held_out); }

/// The targets that the branch teaches.
std::vector<const StudyBenchmark*> taught(const Study& study, const StudyBranch& branch) {
  std::vector<const StudyBenchmark*> found = benchmarks_of(study.benchmarks, BenchmarkKind::target);
  std::erase_if(found, [&](const StudyBenchmark* benchmark) { return !stage_of_task(branch, benchmark->task); });
  return found;
}

/// later − earlier, mean over the benchmarks. Points may depend on the benchmark.
template <class Later, class Earlier>
void add_difference(RunFigure& figure, const std::vector<const StudyBenchmark*>& benchmarks, const Later& later, const Earlier& earlier) {
  for (const StudyBenchmark* benchmark : benchmarks)
    figure.add(*benchmark, {{later(*benchmark), 1.0}, {earlier(*benchmark), -1.0}}, 1.0 / static_cast<double>(benchmarks.size()));
}

auto own_stage(const StudyBranch& branch) {
  return [&branch](const StudyBenchmark& benchmark) { return stage_of_task(branch, benchmark.task); };
}

auto always(const StudyPoint& point) {
  return [&point](const StudyBenchmark&) { return &point; };
}

/// The stage with the lowest held-out mean over half of the questions; null where answers are missing.
const StudyPoint* lowest_stage(const StudySource& source, const StudyBranch& branch, Questions half) {
  const StudyPoint* lowest = nullptr;
  double least = kNothing;
  for (const StudyPoint& point : branch.stages) {
    double sum = 0;
    for (const StudyBenchmark* benchmark : held_out_of(source.study)) {
      RunFigure figure(source);
      figure.add(*benchmark, {{&point, 1.0}}, 1, half);
      const auto strata = figure.strata();
      if (!strata) return nullptr;
      for (const Stratum& stratum : *strata) sum += stratum.weight * moments(stratum.values).mean;
    }
    if (!lowest || sum < least) lowest = &point, least = sum;
  }
  return lowest;
}

/// Last − lowest stage: of each half of the questions, with the stage that the other half has lowest, so that a stage which is
/// lowest by chance does not look like one that recovers.
void add_rebound(RunFigure& figure, const StudySource& source, const StudyBranch& branch) {
  const auto held_out = held_out_of(source.study);
  for (const auto& [choosing, measuring] : {std::pair{Questions::even, Questions::odd}, std::pair{Questions::odd, Questions::even}}) {
    const StudyPoint* lowest = lowest_stage(source, branch, choosing);
    if (!lowest) return figure.spoil();
    for (const StudyBenchmark* benchmark : held_out)
      figure.add(*benchmark, {{&branch.stages.back(), 1.0}, {lowest, -1.0}}, 0.5 / static_cast<double>(held_out.size()), measuring);
  }
}

/// What a probe's figure is multiplied by to be shown.
double scale_of(const StudySource& source, const std::string& probe) { return is_probability(source, probe) ? 100 : 1; }

double mean_probe_change(const StudySource& source, const StudyBranch& branch, const std::string& probe) {
  const double base = source.study.base.probes.at(probe), scale = scale_of(source, probe);
  std::vector<double> changes;
  for (const StudyPoint& point : branch.stages)
    if (const auto found = point.probes.find(probe); found != point.probes.end()) changes.push_back(scale * (found->second - base));
  return moments(changes).mean;
}

bool complete(const Report& report, std::size_t run) {
  const BranchFigures& figures = report.branches[run];
  std::size_t longest = 1;
  for (const StudyBranch& branch : report.study_of(figures).branches) longest = std::max(longest, branch.stages.size());
  return report.branch_of(figures).stages.size() == longest;
}

void follow_stages(const Report& report, PooledRecipe& pooled) {
  const StudySource& source = report.sources[pooled.source];
  const Study& study = source.study;
  const std::size_t stages = report.branch_of(report.branches[pooled.runs[0]]).stages.size();
  const auto mean_at = [&](std::size_t stage, const auto& figure) {
    std::vector<double> values;
    for (const std::size_t run : pooled.runs) values.push_back(figure(report.branch_of(report.branches[run]).stages[stage]));
    std::erase_if(values, [](double value) { return std::isnan(value); });
    return moments(values).mean;
  };
  for (std::size_t k = 0; k < stages; ++k)
    pooled.held_out_by_stage.push_back(
        mean_at(k, [&](const StudyPoint& point) { return 100 * (held_out_mean(study, point) - held_out_mean(study, study.base)); }));
  for (const auto& [probe, base] : study.base.probes) {
    const double scale = scale_of(source, probe);
    for (std::size_t k = 0; k < stages; ++k)
      pooled.probes_by_stage[probe].push_back(mean_at(k, [&](const StudyPoint& point) {
        const auto found = point.probes.find(probe);
        return found == point.probes.end() ? NAN : scale * found->second;
      }));
  }
}

/// Without answers the figure alone, mean over the runs.
Interval or_mean(const Interval& pooled, const Moments& runs) { return std::isnan(pooled.estimate) ? without_interval(runs.mean) : pooled; }

template <class Figure>
Moments over_runs(const Report& report, const PooledRecipe& pooled, const Figure& figure) {
  std::vector<double> values;
  for (const std::size_t run : pooled.runs) values.push_back(figure(report.branches[run].measures));
  return moments(values);
}

void measure_recipe(const Report& report, PooledRecipe& pooled) {
  const StudySource& source = report.sources[pooled.source];
  const Study& study = source.study;
  const auto held_out = held_out_of(study);
  const auto pooled_as = [&](const auto& fill) {
    return pool(report, pooled.runs, [&](std::size_t run, RunFigure& figure) { fill(report.branch_of(report.branches[run]), figure); });
  };
  pooled.learning = or_mean(pooled_as([&](const StudyBranch& branch, RunFigure& figure) {
    add_difference(figure, taught(study, branch), own_stage(branch), always(study.base));
  }), over_runs(report, pooled, [](const Measures& m) { return m.target_learning; }));
  pooled.held_out = or_mean(pooled_as([&](const StudyBranch& branch, RunFigure& figure) {
    add_difference(figure, held_out, always(branch.stages.back()), always(study.base));
  }), over_runs(report, pooled, [](const Measures& m) { return m.held_out_forgetting; }));
  pooled.kept = or_mean(pooled_as([&](const StudyBranch& branch, RunFigure& figure) {
    add_difference(figure, taught(study, branch), always(branch.stages.back()), always(study.base));
  }), over_runs(report, pooled, [](const Measures& m) { return m.target_overall; }));
  pooled.rebound = pooled_as([&](const StudyBranch& branch, RunFigure& figure) { add_rebound(figure, source, branch); });
  for (const auto& [probe, base] : study.base.probes)
    pooled.probes[probe] = pooled_as([&](const StudyBranch& branch, RunFigure& figure) {
      figure.add_value(mean_probe_change(source, branch, probe));
    });
  follow_stages(report, pooled);
}

/// The runs of `second` in the orders and with the seeds of those of `first`; both lists are cut to what they share.
std::vector<std::size_t> partners(const Report& report, std::vector<std::size_t>& first, const std::vector<std::size_t>& second) {
  std::vector<std::size_t> kept, found;
  for (const std::size_t a : first)
    for (const std::size_t b : second) {
      const StudyBranch &x = report.branch_of(report.branches[a]), &y = report.branch_of(report.branches[b]);
      if (x.order != y.order || x.seed != y.seed) continue;
      kept.push_back(a);
      found.push_back(b);
      break;
    }
  first = kept;
  return found;
}

}  // namespace

std::vector<PooledRecipe> pool_recipes(const Report& report) {
  std::vector<PooledRecipe> all;
  for (std::size_t run = 0; run < report.branches.size(); ++run) {
    if (!complete(report, run)) continue;
    const std::string& recipe = report.branch_of(report.branches[run]).recipe;
    const std::size_t source = report.branches[run].source;
    auto found = std::find_if(all.begin(), all.end(), [&](const PooledRecipe& p) { return p.recipe == recipe && p.source == source; });
    if (found == all.end()) found = all.insert(all.end(), PooledRecipe{recipe, source, {}, {}, {}, {}, {}, {}, {}, {}, {}});
    found->runs.push_back(run);
  }
  for (PooledRecipe& pooled : all) {
    pooled.name = pooled.recipe + counted_runs(report, pooled.runs);
    if (report.sources.size() > 1) pooled.name += " @ " + report.sources[pooled.source].label;
    measure_recipe(report, pooled);
  }
  return all;
}

PooledPair pool_pair(const Report& report, const PooledRecipe& first, const PooledRecipe& second) {
  std::vector<std::size_t> runs = first.runs;
  const std::vector<std::size_t> others = partners(report, runs, second.runs);
  const Study& study = report.sources[first.source].study;
  const auto held_out = held_out_of(study);
  const auto branch = [&](std::size_t run) -> const StudyBranch& { return report.branch_of(report.branches[run]); };
  const auto other = [&](std::size_t run) -> const StudyBranch& {
    return branch(others[static_cast<std::size_t>(std::find(runs.begin(), runs.end(), run) - runs.begin())]);
  };
  const auto learning = [&](std::size_t run, RunFigure& figure) {
    add_difference(figure, taught(study, branch(run)), own_stage(branch(run)), own_stage(other(run)));
  };
  const auto keeping = [&](std::size_t run, RunFigure& figure) {
    add_difference(figure, held_out, always(branch(run).stages.back()), always(other(run).stages.back()));
  };
  PooledPair pair{first.recipe + " − " + second.recipe + counted_runs(report, runs), runs.size(), {}, {}, {}, {}};
  if (report.sources.size() > 1) pair.name += " @ " + report.sources[first.source].label;
  pair.learning = pool(report, runs, learning);
  pair.held_out = pool(report, runs, keeping);
  pair.balance = pool(report, runs, [&](std::size_t run, RunFigure& figure) {
    learning(run, figure);
    keeping(run, figure);
  });
  for (const auto& [probe, base] : study.base.probes)
    pair.probes[probe] = pool(report, runs, [&](std::size_t run, RunFigure& figure) {
      figure.add_value(mean_probe_change(report.sources[first.source], branch(run), probe) -
                       mean_probe_change(report.sources[first.source], other(run), probe));
    });
  return pair;
}

Interval pool_stage_cost(const Report& report, const PooledRecipe& recipe, const std::vector<std::string>& metrics) {
  const Study& study = report.sources[recipe.source].study;
  std::set<std::string> tasks;
  for (const StudyBenchmark* target : benchmarks_of(study.benchmarks, BenchmarkKind::target))
    if (std::find(metrics.begin(), metrics.end(), target->metric) != metrics.end()) tasks.insert(target->task);
  const auto held_out = held_out_of(study);
  return pool(report, recipe.runs, [&](std::size_t run, RunFigure& figure) {
    const StudyBranch& branch = report.branch_of(report.branches[run]);
    const auto among = std::count_if(branch.stages.begin(), branch.stages.end(),
                                     [&](const StudyPoint& point) { return tasks.contains(point.task); });
    const auto others = static_cast<std::ptrdiff_t>(branch.stages.size()) - among;
    if (among == 0 || others == 0) return figure.spoil();
    RunFigure::Combination combination;
    for (std::size_t k = 0; k < branch.stages.size(); ++k) {
      const double share = tasks.contains(branch.stages[k].task) ? 1.0 / static_cast<double>(among) : -1.0 / static_cast<double>(others);
      combination.emplace_back(&branch.stages[k], share);
      combination.emplace_back(k == 0 ? &study.base : &branch.stages[k - 1], -share);
    }
    for (const StudyBenchmark* benchmark : held_out) figure.add(*benchmark, combination, 1.0 / static_cast<double>(held_out.size()));
  });
}

}  // namespace retain::framework
