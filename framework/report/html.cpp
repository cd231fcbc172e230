// SPDX-License-Identifier: Apache-2.0
#include "framework/report/html.h"

#include <cmath>
#include <cstdio>

#include "framework/report/svg.h"

namespace retain::framework {
namespace {

constexpr const char* kStyle = R"(
:root{--paper:#fff;--ink:#1b1f24;--soft:#667;--rule:#d8dde3;--c0:#0b62a4;--c1:#c2410c;--c2:#15803d;--c3:#7e22ce;--c4:#a16207;--c5:#be185d}
@media (prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e6e9ed;--soft:#9aa4b0;--rule:#343b44;--c0:#6cb4ee;--c1:#f59e6b;--c2:#7bd88f;--c3:#c9a0f5;--c4:#e3c05c;--c5:#f28ab8}}
body{background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}p.note{color:var(--soft)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}th:first-child,td:first-child{text-align:left}
td.heat{background:color-mix(in srgb,var(--c0) calc(var(--v)*60%),transparent)}
svg{width:100%;height:auto;max-width:46rem}svg .grid{stroke:var(--rule)}svg .zero{stroke:var(--soft)}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .t{font-size:14px;font-weight:600}svg .l{fill:var(--soft)}
svg .line{fill:none;stroke-width:2}
svg .s0{fill:var(--c0)}svg .s1{fill:var(--c1)}svg .s2{fill:var(--c2)}svg .s3{fill:var(--c3)}svg .s4{fill:var(--c4)}svg .s5{fill:var(--c5)}
svg .d0{stroke:var(--c0)}svg .d1{stroke:var(--c1);stroke-dasharray:7 3}svg .d2{stroke:var(--c2);stroke-dasharray:2 3}
svg .d3{stroke:var(--c3);stroke-dasharray:9 3 2 3}svg .d4{stroke:var(--c4);stroke-dasharray:4 4}svg .d5{stroke:var(--c5);stroke-dasharray:1 3}
)";

std::string format(const char* pattern, double value) {
  if (std::isnan(value)) return "–";
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string cell(double value, const char* pattern, const std::string& attributes = "") {
  return "<td" + attributes + " data-value=\"" + format("%.17g", value) + "\">" + format(pattern, value) + "</td>";
}

std::string measures_section(const Study& study) {
  std::string html = "<h2>Learning and forgetting</h2><div class=\"scroll\"><table id=\"measures\"><thead><tr><th>recipe</th><th>trained parameters</th>"
                     "<th>Target Learning</th><th>Target Forgetting</th><th>Target Overall</th><th>Held-out Forgetting</th></tr></thead><tbody>";
  for (const StudyBranch& branch : study.branches) {
    const Measures m = measure(study, branch);
    html += "<tr><td>" + escape_html(branch.recipe) + "</td>" + cell(static_cast<double>(branch.trained), "%.0f") + cell(m.target_learning, "%+.1f") +
            cell(m.target_forgetting, "%+.1f") + cell(m.target_overall, "%+.1f") + cell(m.held_out_forgetting, "%+.1f") + "</tr>";
  }
  return html + "</tbody></table></div><p class=\"note\">Percentage points. Learning: a task's benchmark after its own stage against the base. Forgetting: "
                "after the last stage against after its own. Overall: after the last stage against the base. Held-out: mean of the held-out "
                "benchmarks after the last stage against the base. One run each unless said otherwise; no error bars can be given for a single seed.</p>";
}

Chart trade_off(const Study& study) {
  Chart chart{"Learning against forgetting", "Target Learning (points)", "Held-out change (points)", {}, false, {}};
  for (const StudyBranch& branch : study.branches) {
    const Measures m = measure(study, branch);
    chart.series.push_back({branch.recipe, {m.target_learning}, {m.held_out_forgetting}});
  }
  return chart;
}

/// A figure of every stage, the base first, one line a recipe.
template <class Figure>
Chart over_stages(const Study& study, const std::string& title, const std::string& label, const Figure& figure) {
  Chart chart{title, "after stage", label, {"base"}, true, {}};
  for (const StudyBranch& branch : study.branches) {
    ChartSeries series{branch.recipe, {0}, {figure(study.base)}};
    for (std::size_t i = 0; i < branch.stages.size(); ++i) {
      if (chart.x_ticks.size() == i + 1) chart.x_ticks.push_back(branch.stages[i].task);
      series.x.push_back(static_cast<double>(i + 1));
      series.y.push_back(figure(branch.stages[i]));
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

std::string matrix_row(const Study& study, const std::string& label, const StudyPoint& point) {
  std::string html = "<tr><td>" + escape_html(label) + "</td>";
  for (const StudyBenchmark& benchmark : study.benchmarks) {
    const auto found = point.scores.find(benchmark.name);
    const double score = found == point.scores.end() ? NAN : found->second;
    html += cell(100 * score, "%.1f", std::isnan(score) ? "" : " class=\"heat\" style=\"--v:" + format("%.3f", score) + "\"");
  }
  return html + cell(100 * held_out_mean(study, point), "%.1f") + "</tr>";
}

std::string matrix_section(const Study& study) {
  std::string html = "<h2>Every stage on every benchmark</h2><div class=\"scroll\"><table id=\"matrix\"><thead><tr><th>stage</th>";
  for (const StudyBenchmark& benchmark : study.benchmarks)
    html += "<th title=\"" + escape_html(benchmark.metric) + ", " + std::to_string(benchmark.samples) + " samples\">" + escape_html(benchmark.name) +
            (benchmark.held_out() ? "" : " ◆") + "</th>";
  html += "<th>held-out mean</th></tr></thead><tbody>" + matrix_row(study, "base", study.base);
  for (const StudyBranch& branch : study.branches)
    for (const StudyPoint& point : branch.stages) html += matrix_row(study, branch.recipe + " · " + point.task, point);
  return html + "</tbody></table></div><p class=\"note\">Per cent of the samples right. ◆ marks a target; the others are held out.</p>";
}

}  // namespace

std::string to_html(const Study& study) {
  std::string html = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                     "<title>" + escape_html(study.title) + "</title><style>" + kStyle + "</style></head><body>\n<h1>" + escape_html(study.title) + "</h1>\n"
                     "<p class=\"note\">" + std::to_string(study.parameters) + " parameters; labels and prompts in " + escape_html(study.mode) + " mode.</p>\n";
  html += measures_section(study);
  html += to_svg(trade_off(study));
  html += "<h2>Held-out skills over the curriculum</h2>" +
          to_svg(over_stages(study, "Mean of the held-out benchmarks", "per cent", [&](const StudyPoint& p) { return 100 * held_out_mean(study, p); }));
  for (const auto& [name, value] : study.base.probes)
    html += "<h2>Drift of the output: " + escape_html(name) + "</h2>" +
            to_svg(over_stages(study, "Teacher-forced probability of number tokens on captions", "probability", [&](const StudyPoint& p) {
              const auto found = p.probes.find(name);
              return found == p.probes.end() ? NAN : found->second;
            }));
  return html + matrix_section(study) + "</body></html>\n";
}

}  // namespace retain::framework
