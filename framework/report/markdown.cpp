// SPDX-License-Identifier: Apache-2.0
#include "framework/report/markdown.h"

#include <algorithm>

#include "framework/report/findings.h"
#include "framework/report/tables.h"

namespace retain::framework {
namespace {

std::string setting(const StudySource& source) {
  const Study& study = source.study;
  const auto held_out = std::count_if(study.benchmarks.begin(), study.benchmarks.end(), [](const StudyBenchmark& b) { return b.held_out(); });
  return "- **" + source.label + "**: " + std::to_string(study.parameters) + " parameters; " + std::to_string(study.branches.size()) + " branches; " +
         std::to_string(static_cast<std::ptrdiff_t>(study.benchmarks.size()) - held_out) + " target and " + std::to_string(held_out) +
         " held-out benchmarks; labels and prompts in " + study.mode + " mode.\n";
}

Table findings_table(const Report& report) {
  Table table{"findings", "The paper's findings at this scale", {"finding", "where", "figure", "at this scale"}, {},
              "A finding appears when the whole 95 % interval lies on its side. Intervals are paired bootstraps over samples (Fisher's z for correlations); they "
              "say nothing about other seeds. The lowest stage is picked by the same samples that then rise: read that line with care. No correction for the "
              "number of lines."};
  for (const Finding& finding : find_findings(report)) {
    const char* format = finding.unit == "points" ? "%+.1f" : "%+.2f";
    TableCell figure = interval_cell(finding.figure, format);
    if (!finding.unit.empty()) figure.text += " " + finding.unit;
    table.rows.push_back({text_cell(finding.claim), text_cell(finding.where.empty() ? "–" : finding.where), figure, text_cell(name_of(finding.verdict))});
  }
  return table;
}

std::string missing_answers(const Report& report) {
  const bool all = std::all_of(report.branches.begin(), report.branches.end(), [](const BranchFigures& figures) { return figures.held_out.known(); });
  return all ? "" : "Some figures stand without an interval: their store does not keep the answers, or nothing of the kind was measured.\n\n";
}

}  // namespace

std::string to_markdown(const Report& report) {
  const std::string title = report.sources.size() == 1 ? report.sources[0].study.title : std::to_string(report.sources.size()) + " studies";
  std::string text = "# " + title + "\n\nMade from the store by `retain report --study`; change nothing here by hand.\n\n";
  for (const StudySource& source : report.sources) text += setting(source);
  text += "\n" + missing_answers(report) + to_markdown(findings_table(report)) + to_markdown(measures_table(report));
  if (const Table seeds = seeds_table(report); !seeds.rows.empty()) text += to_markdown(seeds);
  if (!report.pairs.empty()) text += to_markdown(pairs_table(report));
  if (!report.drifts.empty()) text += to_markdown(drift_table(report));
  for (std::size_t source = 0; source < report.sources.size(); ++source) text += to_markdown(changes_table(report, source));
  return text + to_markdown(recovery_sums_table(report));
}

}  // namespace retain::framework
