// SPDX-License-Identifier: Apache-2.0
#include "framework/report/analysis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "framework/report/drift.h"

namespace retain::framework {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

/// Strata of benchmarks to be averaged alike; unknown as soon as one benchmark has no answers.
class Changes {
 public:
  Changes(const StudySource& source, BenchmarkKind kind) : source_(source), benchmarks_(benchmarks_of(source.study.benchmarks, kind)) {}
  const std::vector<const StudyBenchmark*>& benchmarks() const { return benchmarks_; }

  void add(const StudyBenchmark& benchmark, const StudyPoint& earlier, const StudyPoint& later, double sign = 1) {
    std::vector<Stratum> added;
    if (!add_changes(added, source_.answers.find(benchmark, earlier), source_.answers.find(benchmark, later), sign)) whole_ = false;
    strata_.insert(strata_.end(), added.begin(), added.end());
    if (sign > 0) ++count_;
  }
  /// In percentage points; unknown unless the samples give the same estimate.
  Interval around(double points) const {
    if (!whole_ || count_ == 0 || std::isnan(points)) return without_interval(points);
    std::vector<Stratum> scaled = strata_;
    for (Stratum& stratum : scaled) stratum.weight *= 100.0 / count_;
    const Interval found = bootstrap(scaled);
    return std::abs(found.estimate - points) < 1e-6 ? Interval{points, found.low, found.high} : without_interval(points);
  }

 private:
  const StudySource& source_;
  std::vector<const StudyBenchmark*> benchmarks_;
  std::vector<Stratum> strata_;
  bool whole_ = true;
  int count_ = 0;
};

bool measured(const StudyBenchmark& benchmark, const StudyPoint& a, const StudyPoint& b) {
  return !std::isnan(score_of(a, benchmark.name)) && !std::isnan(score_of(b, benchmark.name));
}

Interval learning_of(const StudySource& source, const StudyBranch& branch, double points) {
  Changes changes(source, BenchmarkKind::target);
  for (const StudyBenchmark* benchmark : changes.benchmarks())
    if (const StudyPoint* own = stage_of_task(branch, benchmark->task);
        own && measured(*benchmark, source.study.base, *own) && measured(*benchmark, *own, branch.stages.back()))
      changes.add(*benchmark, source.study.base, *own);
  return changes.around(points);
}

Interval held_out_of(const StudySource& source, const StudyPoint& earlier, const StudyPoint& later, double points) {
  Changes changes(source, BenchmarkKind::held_out);
  for (const StudyBenchmark* benchmark : changes.benchmarks())
    if (measured(*benchmark, earlier, later)) changes.add(*benchmark, earlier, later);
  return changes.around(points);
}

std::map<std::string, Interval> benchmark_changes(const StudySource& source, const StudyBranch& branch) {
  std::map<std::string, Interval> result;
  for (const StudyBenchmark& benchmark : source.study.benchmarks) {
    const StudyPoint &base = source.study.base, &last = branch.stages.back();
    if (!measured(benchmark, base, last)) continue;
    Changes changes(source, benchmark.kind());
    changes.add(benchmark, base, last);
    result.emplace(benchmark.name, changes.around(100 * (score_of(last, benchmark.name) - score_of(base, benchmark.name))));
  }
  return result;
}

/// Rows: base and stages; columns: the stages' tasks. Percentage points.
ScoreMatrix matrix_of(const Study& study, const StudyBranch& branch) {
  ScoreMatrix matrix;
  for (std::size_t row = 0; row <= branch.stages.size(); ++row) {
    const StudyPoint& point = row == 0 ? study.base : branch.stages[row - 1];
    matrix.emplace_back();
    for (const StudyPoint& stage : branch.stages) {
      std::vector<double> scores;
      for (const StudyBenchmark& benchmark : study.benchmarks)
        if (benchmark.task == stage.task) scores.push_back(100 * score_of(point, benchmark.name));
      matrix.back().push_back(moments(scores).mean);
    }
  }
  return matrix;
}

Interval rebound_of(const StudySource& source, const StudyBranch& branch) {
  const StudyPoint* lowest = nullptr;
  for (const StudyPoint& point : branch.stages)
    if (const double mean = held_out_mean(source.study, point);
        !std::isnan(mean) && (!lowest || mean < held_out_mean(source.study, *lowest)))
      lowest = &point;
  if (!lowest) return without_interval(kNothing);
  const StudyPoint& last = branch.stages.back();
  return held_out_of(source, *lowest, last, 100 * (held_out_mean(source.study, last) - held_out_mean(source.study, *lowest)));
}

void account_recovery(const Study& study, const StudyBranch& branch, BranchFigures& figures) {
  const auto benchmarks = benchmarks_of(study.benchmarks, BenchmarkKind::held_out);
  for (const StudyBenchmark* benchmark : benchmarks) {
    const auto drops = recovery(series_of(study, branch, [&](const StudyPoint& point) { return 100 * score_of(point, benchmark->name); }));
    for (const Drop& drop : drops) figures.drops.push_back({benchmark->name, drop});
    const RecoverySum sum = sum_of(drops);
    figures.recovery.dropped += sum.dropped;
    figures.recovery.returned += sum.returned;
    figures.recovery.lost += sum.lost;
  }
  for (double* part : {&figures.recovery.dropped, &figures.recovery.returned, &figures.recovery.lost})
    *part /= std::max(1.0, static_cast<double>(benchmarks.size()));
}

BranchFigures figures_of(const StudySource& source, std::size_t index, std::size_t number) {
  const StudyBranch& branch = source.study.branches[number];
  BranchFigures figures{index, number, branch.recipe, measure(source.study, branch), transfer(matrix_of(source.study, branch)),
                        without_interval(kNothing), without_interval(kNothing), without_interval(kNothing), {}, {}, {}};
  if (branch.stages.empty()) return figures;
  figures.learning = learning_of(source, branch, figures.measures.target_learning);
  figures.held_out = held_out_of(source, source.study.base, branch.stages.back(), figures.measures.held_out_forgetting);
  figures.rebound = rebound_of(source, branch);
  figures.changes = benchmark_changes(source, branch);
  account_recovery(source.study, branch, figures);
  return figures;
}

/// Recipe, and whatever else tells branches of this report apart.
void name_branches(Report& report) {
  std::set<std::string> orders;
  std::set<std::int64_t> seeds;
  for (const BranchFigures& figures : report.branches) {
    orders.insert(report.branch_of(figures).order);
    seeds.insert(report.branch_of(figures).seed.value_or(0));
  }
  std::map<std::string, RecipeGroup> groups;
  std::vector<std::string> sequence;
  for (std::size_t i = 0; i < report.branches.size(); ++i) {
    BranchFigures& figures = report.branches[i];
    const StudyBranch& branch = report.branch_of(figures);
    std::string name = branch.recipe;
    if (orders.size() > 1 && !branch.order.empty()) name += " · " + branch.order;
    if (report.sources.size() > 1) name += " @ " + report.sources[figures.source].label;
    figures.name = seeds.size() > 1 ? name + " · seed " + std::to_string(branch.seed.value_or(0)) : name;
    RecipeGroup& group = groups[name];
    if (group.members.empty()) {
      group.name = name;
      group.recipe = branch.recipe;
      group.source = figures.source;
      sequence.push_back(name);
    }
    group.members.push_back(i);
  }
  for (const std::string& name : sequence) report.groups.push_back(groups.at(name));
}

template <class Figure>
Moments over_members(const Report& report, const RecipeGroup& group, const Figure& figure) {
  std::vector<double> values;
  for (const std::size_t member : group.members) values.push_back(figure(report.branches[member]));
  return moments(values);
}

void summarise(const Report& report, RecipeGroup& group) {
  group.learning = over_members(report, group, [](const BranchFigures& f) { return f.measures.target_learning; });
  group.forgetting = over_members(report, group, [](const BranchFigures& f) { return f.measures.target_forgetting; });
  group.overall = over_members(report, group, [](const BranchFigures& f) { return f.measures.target_overall; });
  group.held_out = over_members(report, group, [](const BranchFigures& f) { return f.measures.held_out_forgetting; });
  group.returned = over_members(report, group, [](const BranchFigures& f) { return f.recovery.returned; });
  group.lost = over_members(report, group, [](const BranchFigures& f) { return f.recovery.lost; });
}

/// All samples of the benchmarks of a kind, both branches after their last stage.
McNemar test_samples(const StudySource& source, const StudyBranch& first, const StudyBranch& second, BenchmarkKind kind) {
  std::vector<double> a, b;
  for (const StudyBenchmark* benchmark : benchmarks_of(source.study.benchmarks, kind)) {
    const KeptEvaluation* x = source.answers.find(*benchmark, first.stages.back());
    const KeptEvaluation* y = source.answers.find(*benchmark, second.stages.back());
    if (!x || !y || x->questions != y->questions) continue;
    a.insert(a.end(), x->scores.begin(), x->scores.end());
    b.insert(b.end(), y->scores.begin(), y->scores.end());
  }
  return a.empty() ? McNemar{0, 0, kNothing} : mcnemar(a, b);
}

Interval learning_difference(const StudySource& source, const StudyBranch& first, const StudyBranch& second, double points) {
  Changes changes(source, BenchmarkKind::target);
  for (const StudyBenchmark* benchmark : changes.benchmarks()) {
    const StudyPoint *a = stage_of_task(first, benchmark->task), *b = stage_of_task(second, benchmark->task);
    if (a && b && measured(*benchmark, *a, *b)) changes.add(*benchmark, *a, *b);
  }
  return changes.around(points);
}

void compare_branches(Report& report) {
  for (std::size_t i = 0; i < report.branches.size(); ++i)
    for (std::size_t j = i + 1; j < report.branches.size(); ++j) {
      const BranchFigures &a = report.branches[i], &b = report.branches[j];
      const StudyBranch &first = report.branch_of(a), &second = report.branch_of(b);
      if (a.source != b.source || first.order != second.order || first.seed != second.seed) continue;
      if (first.stages.empty() || first.stages.size() != second.stages.size()) continue;
      const StudySource& source = report.sources[a.source];
      RecipePair pair{i, j, {}, {}, test_samples(source, first, second, BenchmarkKind::target),
                      test_samples(source, first, second, BenchmarkKind::held_out)};
      pair.learning = learning_difference(source, first, second, b.measures.target_learning - a.measures.target_learning);
      pair.held_out = held_out_of(source, first.stages.back(), second.stages.back(),
                                  b.measures.held_out_forgetting - a.measures.held_out_forgetting);
      report.pairs.push_back(pair);
    }
}

}  // namespace

Report analyse(std::vector<StudySource> sources) {
  if (sources.empty()) throw Error(ErrorKind::usage, "a report needs a store");
  Report report;
  report.sources = std::move(sources);
  for (std::size_t s = 0; s < report.sources.size(); ++s)
    for (std::size_t b = 0; b < report.sources[s].study.branches.size(); ++b)
      report.branches.push_back(figures_of(report.sources[s], s, b));
  name_branches(report);
  for (RecipeGroup& group : report.groups) summarise(report, group);
  compare_branches(report);
  report.drifts = find_drifts(report);
  return report;
}

}  // namespace retain::framework
