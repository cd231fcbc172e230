// SPDX-License-Identifier: Apache-2.0
#include "framework/report/tables.h"

#include <cmath>

namespace retain::framework {
namespace {

constexpr const char* kPoints = "%+.1f";

/// An id of its own for every source where there are several.
std::string numbered(const Report& report, const std::string& id, std::size_t source) {
  return report.sources.size() > 1 ? id + "-" + std::to_string(source + 1) : id;
}

std::string titled(const Report& report, const std::string& title, std::size_t source) {
  return report.sources.size() > 1 ? title + ": " + report.sources[source].label : title;
}

std::string marked(const StudyBenchmark& benchmark) {
  switch (benchmark.kind()) {
    case BenchmarkKind::target: return benchmark.name + " ◆";
    case BenchmarkKind::extra: return benchmark.name + " ○";
    case BenchmarkKind::held_out: break;
  }
  return benchmark.name;
}

std::string legend(const Study& study) {
  const bool extras = !benchmarks_of(study.benchmarks, BenchmarkKind::extra).empty();
  return std::string("◆ marks a target") + (extras ? ", ○ an extra benchmark, which counts in no mean" : "") + "; the others are held out.";
}

std::string seeds_text(const Moments& moments) {
  return format_number(kPoints, moments.mean) + (std::isnan(moments.deviation) ? "" : " ± " + format_number("%.1f", moments.deviation));
}

TableCell moments_cell(const Moments& moments) {
  TableCell cell = number_cell(moments.mean, kPoints);
  cell.text = seeds_text(moments);
  return cell;
}

TableCell p_cell(const McNemar& test) {
  TableCell cell = number_cell(test.p, "%.3g");
  if (!std::isnan(test.p)) cell.text += " (" + std::to_string(test.first_only) + " : " + std::to_string(test.second_only) + ")";
  return cell;
}

std::string returns_text(const StudyBranch& branch, const Drop& drop) {
  std::string text;
  for (const Return& part : drop.returns)
    text += (text.empty() ? "" : ", ") + format_number(kPoints, part.amount) + " " + branch.stages[part.stage - 1].task;
  return text.empty() ? "–" : text;
}

std::vector<TableCell> matrix_row(const Study& study, const std::string& label, const StudyPoint& point) {
  std::vector<TableCell> row{text_cell(label)};
  for (const StudyBenchmark& benchmark : study.benchmarks) {
    const double score = score_of(point, benchmark.name);
    row.push_back(number_cell(100 * score, "%.1f"));
    if (!std::isnan(score)) row.back().shade = score;
  }
  row.push_back(number_cell(100 * held_out_mean(study, point), "%.1f"));
  return row;
}

}  // namespace

Table measures_table(const Report& report) {
  Table table{"measures",
              "Learning and forgetting",
              {"recipe", "trained parameters", "Target Learning", "Target Forgetting", "Target Overall",
               "Held-out Forgetting", "maximum-based forgetting", "backward transfer", "forward transfer"},
              {},
              "Percentage points. Learning: a task's benchmark after its own stage against the base. Forgetting: after "
              "the last stage against after its own. Overall: after the last stage against the base. Held-out: mean of "
              "the held-out benchmarks after the last stage against the base. In brackets: 95 % paired bootstrap "
              "interval over the samples, where the store keeps the answers; it says nothing about other seeds."};
  for (const BranchFigures& figures : report.branches)
    table.rows.push_back(
        {text_cell(figures.name), number_cell(static_cast<double>(report.branch_of(figures).trained), "%.0f"),
         interval_cell(figures.learning.known() ? figures.learning : without_interval(figures.measures.target_learning),
                       kPoints),
         number_cell(figures.measures.target_forgetting, kPoints),
         number_cell(figures.measures.target_overall, kPoints),
         interval_cell(
             figures.held_out.known() ? figures.held_out : without_interval(figures.measures.held_out_forgetting),
             kPoints),
         number_cell(figures.transfer.maximum_forgetting, kPoints),
         number_cell(figures.transfer.backward_transfer, kPoints),
         number_cell(figures.transfer.forward_transfer, kPoints)});
  return table;
}

Table seeds_table(const Report& report) {
  Table table{"seeds",
              "Over seeds",
              {"recipe", "seeds", "Target Learning", "Target Forgetting", "Target Overall", "Held-out Forgetting"},
              {},
              "Mean ± sample standard deviation over seeds, percentage points."};
  for (const RecipeGroup& group : report.groups)
    if (group.members.size() > 1)
      table.rows.push_back({text_cell(group.name), number_cell(static_cast<double>(group.members.size()), "%.0f"),
                            moments_cell(group.learning), moments_cell(group.forgetting), moments_cell(group.overall),
                            moments_cell(group.held_out)});
  return table;
}

Table changes_table(const Report& report, std::size_t source) {
  const Study& study = report.sources[source].study;
  Table table{numbered(report, "changes", source), titled(report, "Change of every benchmark, base to last stage", source), {"recipe"}, {},
              "Percentage points with 95 % paired bootstrap intervals over the samples. " + legend(study)};
  for (const StudyBenchmark& benchmark : study.benchmarks) table.columns.push_back(marked(benchmark));
  for (const BranchFigures& figures : report.branches) {
    if (figures.source != source) continue;
    table.rows.push_back({text_cell(figures.name)});
    for (const StudyBenchmark& benchmark : study.benchmarks) {
      const auto found = figures.changes.find(benchmark.name);
      table.rows.back().push_back(interval_cell(found == figures.changes.end() ? without_interval(NAN) : found->second, kPoints));
    }
  }
  return table;
}

Table pairs_table(const Report& report) {
  Table table{"pairs",
              "Recipe against recipe",
              {"second − first", "learning", "held-out", "McNemar p, targets", "McNemar p, held out"},
              {},
              "Differences in percentage points with 95 % paired bootstrap intervals over the samples. McNemar's exact "
              "two-sided test over all samples of these benchmarks after the last stage; in brackets the samples that "
              "only the first : only the second gets right. No correction for the number of pairs."};
  for (const RecipePair& pair : report.pairs)
    table.rows.push_back({text_cell(report.branches[pair.second].name + " − " + report.branches[pair.first].name),
                          interval_cell(pair.learning, kPoints), interval_cell(pair.held_out, kPoints),
                          p_cell(pair.targets), p_cell(pair.held_out_samples)});
  return table;
}

Table recovery_table(const Report& report) {
  Table table{"recovery",
              "Every drop and what became of it",
              {"recipe", "benchmark", "dropped in stage", "dropped", "given back", "by", "stayed lost"},
              {},
              "Percentage points of held-out benchmarks. A level counts as given back by the first later stage that "
              "reaches it; taken away again, it is a drop of its own. So what stayed lost adds up to the highest score "
              "minus the last. Noise counts too: small drops of few samples mean nothing."};
  for (const BranchFigures& figures : report.branches) {
    const StudyBranch& branch = report.branch_of(figures);
    for (const BenchmarkDrop& item : figures.drops)
      table.rows.push_back({text_cell(figures.name), text_cell(item.benchmark), text_cell(branch.stages[item.drop.stage - 1].task),
                            number_cell(item.drop.size, "%.1f"), number_cell(item.drop.size - item.drop.lost, "%.1f"),
                            text_cell(returns_text(branch, item.drop)), number_cell(item.drop.lost, "%.1f")});
  }
  return table;
}

Table recovery_sums_table(const Report& report) {
  Table table{"recovery-sums", "Drops: given back and lost", {"recipe", "dropped", "given back by later stages", "stayed lost"}, {},
              "All drops of the held-out benchmarks, mean over benchmarks (and ± deviation over seeds), percentage points."};
  for (const RecipeGroup& group : report.groups)
    table.rows.push_back({text_cell(group.name), number_cell(group.returned.mean + group.lost.mean, "%.1f"),
                          moments_cell(group.returned), moments_cell(group.lost)});
  return table;
}

Table drift_table(const Report& report) {
  Table table{"drift",
              "Drift of the output and forgetting",
              {"probe", "stages", "recipes", "orders", "Pearson r", "Spearman ρ", "stage by stage, ρ"},
              {},
              "Over all distinct stages: change of the probe against change of the held-out mean, both from the base. "
              "95 % intervals for other recipes and other orders: all runs of a recipe count once, and so do all of an "
              "order, however many seeds and stages they have (leaving one out at a time, Student's t with as many "
              "degrees of freedom as there are recipes, or orders, but one). With one recipe in one order, for other "
              "seeds."};
  for (const Drift& drift : report.drifts) {
    const std::string name = report.sources.size() > 1 ? drift.probe + " @ " + report.sources[drift.source].label : drift.probe;
    const auto count = [](std::size_t number) { return number_cell(static_cast<double>(number), "%.0f"); };
    table.rows.push_back({text_cell(name), count(drift.change.size()), count(drift.recipes), count(drift.orders),
                          interval_cell(drift.pearson, "%+.2f"), interval_cell(drift.spearman, "%+.2f"),
                          interval_cell(drift.steps, "%+.2f")});
  }
  return table;
}

Table matrix_table(const Report& report, std::size_t source) {
  const Study& study = report.sources[source].study;
  Table table{numbered(report, "matrix", source), titled(report, "Every stage on every benchmark", source), {"stage"}, {},
              "Per cent. " + legend(study)};
  for (const StudyBenchmark& benchmark : study.benchmarks) table.columns.push_back(marked(benchmark));
  table.columns.push_back("held-out mean");
  table.rows.push_back(matrix_row(study, "base", study.base));
  for (const BranchFigures& figures : report.branches)
    if (figures.source == source)
      for (const StudyPoint& point : study.branches[figures.branch].stages)
        table.rows.push_back(matrix_row(study, figures.name + " · " + point.task, point));
  return table;
}

}  // namespace retain::framework
