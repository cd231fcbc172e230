// SPDX-License-Identifier: Apache-2.0
#include "framework/report/markdown.h"

#include <algorithm>
#include <set>
#include <utility>

#include "framework/report/findings.h"
#include "framework/report/pooled_tables.h"
#include "framework/report/tables.h"

namespace retain::framework {
namespace {

std::string counted(std::size_t number, const std::string& noun) { return std::to_string(number) + " " + noun + (number == 1 ? "" : "s"); }

std::string benchmarks_text(const Study& study) {
  const auto number = [&](BenchmarkKind kind) { return std::to_string(benchmarks_of(study.benchmarks, kind).size()); };
  const std::string extras = number(BenchmarkKind::extra);
  return number(BenchmarkKind::target) + " target and " + number(BenchmarkKind::held_out) + " held-out benchmarks" +
         (extras == "0" ? "" : ", " + extras + " extra that count in no mean");
}

std::string setting(const StudySource& source) {
  const Study& study = source.study;
  std::size_t stages = 0, longest = 0;
  std::set<std::string> recipes, orders;
  std::set<std::int64_t> seeds;
  for (const StudyBranch& branch : study.branches) {
    stages += branch.stages.size();
    longest = std::max(longest, branch.stages.size());
    recipes.insert(branch.recipe);
    orders.insert(branch.order);
    seeds.insert(branch.seed.value_or(0));
  }
  const auto complete = std::count_if(study.branches.begin(), study.branches.end(),
                                      [&](const StudyBranch& branch) { return branch.stages.size() == longest; });
  return "- **" + source.label + "**: " + std::to_string(study.parameters) + " parameters; rests on " + counted(stages, "stage") + " in " +
         counted(study.branches.size(), "run") + ", " + std::to_string(complete) + " of them with all " + counted(longest, "stage") + " (" +
         counted(recipes.size(), "recipe") + ", " + counted(orders.size(), "order") + ", " + counted(seeds.size(), "seed") + " so far); " +
         benchmarks_text(study) + "; labels and prompts in " + study.mode + " mode.\n";
}

Table findings_table(const std::vector<Finding>& findings) {
  Table table{"findings",
              "The paper's findings at this scale",
              {"finding", "where", "figure", "at this scale"},
              {},
              "A finding appears when the whole 95 % interval lies on its side. Intervals speak of other questions "
              "(bootstrap) and, where a recipe has several runs, of other orders of the tasks, or with one order of "
              "other seeds (Student's t, which is wide for two or three: an order counts once, however many seeds it "
              "has). Those of correlations speak of other recipes and other orders: one recipe with all its runs is "
              "left out at a time, then one order (jackknife, Student's t of as many as there are recipes, and orders; "
              "both reaches joined); more seeds or stages make them no narrower than that. Of a recipe with one run "
              "they say nothing about other orders or seeds. No correction for the number of lines."};
  for (const Finding& finding : findings) {
    const char* format = finding.unit == "points" ? "%+.1f" : "%+.2f";
    TableCell figure = interval_cell(finding.figure, format);
    if (!finding.unit.empty()) figure.text += " " + finding.unit;
    table.rows.push_back({text_cell(finding.claim), text_cell(finding.where.empty() ? "–" : finding.where), figure,
                          text_cell(name_of(finding.verdict))});
  }
  return table;
}

std::string missing_answers(const std::vector<PooledRecipe>& pooled) {
  const bool all = std::all_of(pooled.begin(), pooled.end(), [](const PooledRecipe& recipe) { return recipe.held_out.known(); });
  return all ? ""
             : "Some figures stand without an interval: their store does not keep the answers, or nothing of the kind "
               "was measured.\n\n";
}

/// The claims by verdict, each with the recipes it was judged on.
std::string in_short(const std::vector<Finding>& findings) {
  std::string text = "## In short\n\n";
  for (const auto& [verdict, heading] :
       {std::pair{Verdict::appears, "Appears at this scale"},
        std::pair{Verdict::contradicted, "Does not appear; the opposite does"},
        std::pair{Verdict::open, "Cannot be told"}, std::pair{Verdict::unmeasured, "Not measured"}}) {
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < findings.size(); ++i) {
      if (findings[i].verdict != verdict) continue;
      if (lines.empty() || i == 0 || findings[i - 1].claim != findings[i].claim || findings[i - 1].verdict != verdict)
        lines.push_back("- " + findings[i].claim);
      if (!findings[i].where.empty()) lines.back() += (lines.back().find(" – ") == std::string::npos ? " – " : "; ") + findings[i].where;
    }
    if (lines.empty()) continue;
    text += std::string("**") + heading + "**\n\n";
    for (const std::string& line : lines) text += line + "\n";
    text += "\n";
  }
  return text;
}

/// Every run by itself: for studies with a run a recipe.
std::string single_runs(const Report& report) {
  std::string text = to_markdown(measures_table(report));
  if (!report.pairs.empty()) text += to_markdown(pairs_table(report));
  if (!report.drifts.empty()) text += to_markdown(drift_table(report));
  for (std::size_t source = 0; source < report.sources.size(); ++source) text += to_markdown(changes_table(report, source));
  return text + to_markdown(recovery_sums_table(report));
}

}  // namespace

std::string to_markdown(const Report& report) {
  std::string text = "# Findings";
  for (const StudySource& source : report.sources) text += (&source == report.sources.data() ? ": " : ", ") + source.label;
  text += "\n\nMade from the store by `retain report --study`; change nothing here by hand.\n\n";
  for (const StudySource& source : report.sources) text += setting(source);
  const std::vector<PooledRecipe> pooled = pool_recipes(report);
  const std::vector<Finding> findings = find_findings(report, pooled);
  text += "\n" + missing_answers(pooled) + in_short(findings) + to_markdown(findings_table(findings)) +
          to_markdown(pooled_table(report, pooled));
  if (const Table against = against_llm_table(report, pooled); !against.rows.empty()) text += to_markdown(against);
  for (std::size_t source = 0; source < report.sources.size(); ++source)
    if (const Table stages = stages_table(report, pooled, source); !stages.rows.empty()) text += to_markdown(stages);
  if (const Table seeds = seeds_table(report); !seeds.rows.empty()) text += to_markdown(seeds);
  const bool several = std::any_of(pooled.begin(), pooled.end(), [](const PooledRecipe& recipe) { return recipe.runs.size() > 1; });
  return several ? text : text + single_runs(report);
}

}  // namespace retain::framework
