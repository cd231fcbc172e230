// SPDX-License-Identifier: Apache-2.0
#include "framework/report/html.h"

#include <algorithm>
#include <cmath>

#include "framework/report/page_assets.h"
#include "framework/report/probe_figures.h"
#include "framework/report/samples.h"
#include "framework/report/svg.h"
#include "framework/report/tables.h"

namespace retain::framework {
namespace {

std::string framed(const std::string& svg) { return "<div class=\"scroll\">" + svg + "</div>\n"; }

/// Deviation over seeds where there are several; else the interval over samples of the one branch.
Interval bar_of(const Moments& moments, const Interval& single) {
  if (moments.count > 1) return {moments.mean, moments.mean - moments.deviation, moments.mean + moments.deviation};
  return single.known() ? single : without_interval(moments.mean);
}

std::string trade_off(const Report& report) {
  Chart chart{"Learning against forgetting", "Target Learning (points)", "Held-out change (points)", {}, false, {}, true};
  for (const RecipeGroup& group : report.groups) {
    const BranchFigures& first = report.branches[group.members[0]];
    const Interval x = bar_of(group.learning, first.learning), y = bar_of(group.held_out, first.held_out);
    chart.series.push_back({group.name, {x.estimate}, {y.estimate}, {x.low}, {x.high}, {y.low}, {y.high}});
  }
  return "<h2>The trade-off</h2>" + framed(to_svg(chart)) +
         "<p class=\"note\">Bars: one standard deviation over seeds where a recipe has several, else the 95 % "
         "bootstrap interval over samples. Further right: more learned; further up: less forgotten.</p>";
}

/// A figure of every stage, the base first, one line a recipe; of one source and order.
template <class Figure>
Chart over_stages(const Report& report, std::size_t source, const std::string& order, const std::string& title,
                  const std::string& label, const Figure& figure) {
  Chart chart{title, "after stage", label, {}, true, {}};
  for (const RecipeGroup& group : report.groups) {
    const StudyBranch& first = report.branch_of(report.branches[group.members[0]]);
    if (group.source != source || first.order != order) continue;
    if (chart.x_ticks.size() <= first.stages.size()) {
      chart.x_ticks = {"base"};
      for (const StudyPoint& stage : first.stages) chart.x_ticks.push_back(stage.task);
    }
    ChartSeries series{group.name, {}, {}};
    for (std::size_t place = 0; place <= first.stages.size(); ++place) {
      std::vector<double> values;
      for (const std::size_t member : group.members) {
        const StudyBranch& branch = report.branch_of(report.branches[member]);
        if (place <= branch.stages.size())
          values.push_back(figure(place == 0 ? report.sources[source].study.base : branch.stages[place - 1]));
      }
      const Interval bar = bar_of(moments(values), without_interval(NAN));
      series.x.push_back(static_cast<double>(place));
      series.y.push_back(bar.estimate);
      series.y_low.push_back(bar.low);
      series.y_high.push_back(bar.high);
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

std::vector<std::string> orders_of(const Study& study) {
  std::vector<std::string> orders;
  for (const StudyBranch& branch : study.branches)
    if (std::find(orders.begin(), orders.end(), branch.order) == orders.end()) orders.push_back(branch.order);
  return orders;
}

std::string curves(const Report& report, std::size_t source) {
  const Study& study = report.sources[source].study;
  std::string html;
  for (const std::string& order : orders_of(study)) {
    const std::string suffix = (order.empty() ? "" : ", " + order) + (report.sources.size() > 1 ? ", " + report.sources[source].label : "");
    html += "<h2>Held-out skills over the curriculum" + escape_html(suffix) + "</h2>";
    html += framed(to_svg(over_stages(report, source, order, "Mean of the held-out benchmarks", "per cent",
                                      [&](const StudyPoint& point) { return 100 * held_out_mean(study, point); })));
    for (const auto& [name, value] : study.base.probes)
      html += "<h2>Drift of the output: " + escape_html(name + suffix) + "</h2>" +
              framed(to_svg(over_stages(report, source, order, name + " at stage ends",
                                        unit_of(report.sources[source], name), [&](const StudyPoint& point) {
                                          const auto found = point.probes.find(name);
                                          return found == point.probes.end() ? NAN : found->second;
                                        })));
  }
  return html;
}

/// Probes inside stages, layers, and the answers kept on the way.
std::string probes_section(const Report& report, std::size_t source) {
  std::string html;
  const std::vector<Chart> steps = step_curves(report, source), layers = layer_curves(report, source);
  if (!steps.empty()) html += "<h2>Probes while a stage is taught</h2>";
  for (const Chart& chart : steps) html += framed(to_svg(chart));
  if (const Table table = probes_table(report, source); !table.rows.empty()) html += to_html(table);
  for (const Chart& chart : layers) html += framed(to_svg(chart));
  if (const Table table = layers_table(report, source); !table.rows.empty()) html += to_html(table);
  for (const WrittenTable& table : written_answers(report, source)) {
    html += "<h2>Answers on the way: " + escape_html(table.probe) +
            "</h2><div class=\"scroll\"><table class=\"samples written\"><thead><tr><th>where</th>";
    for (const std::string& question : table.questions) html += "<th>" + escape_html(question) + "</th>";
    html += "</tr></thead><tbody>\n";
    for (const WrittenAnswers& row : table.rows) {
      html += "<tr><td>" + escape_html(row.place) + "</td>";
      for (const std::string& answer : row.answers) html += "<td>" + escape_html(answer) + "</td>";
      html += "</tr>\n";
    }
    html += "</tbody></table></div>\n";
  }
  return html;
}

std::string drift_charts(const Report& report) {
  std::string html;
  for (const Drift& drift : report.drifts) {
    Chart chart{"Drift against forgetting: " + drift.probe, "change of the probe", "held-out change (points)", {}, false, {}};
    for (std::size_t i = 0; i < drift.change.size(); ++i) {
      const std::string& name = report.branches[drift.branch[i]].name;
      if (chart.series.empty() || chart.series.back().name != name) chart.series.push_back({name, {}, {}});
      chart.series.back().x.push_back(drift.change[i]);
      chart.series.back().y.push_back(drift.held_out[i]);
    }
    html += framed(to_svg(chart));
  }
  return html;
}

std::string recovery_section(const Report& report) {
  std::vector<SplitBar> bars;
  for (const RecipeGroup& group : report.groups) bars.push_back({group.name, group.returned.mean, group.lost.mean});
  return to_html(recovery_sums_table(report)) +
         framed(split_bars("All drops of the held-out benchmarks, mean over benchmarks (points)",
                           "given back by later stages", "stayed lost", bars)) +
         to_html(recovery_table(report));
}

std::string answer_cell(const KeptAnswer& answer) {
  const std::string mark = std::isnan(answer.score) ? "" : answer.score >= 0.5 ? "✓ " : "✗ ";
  return "<td>" + mark + escape_html(answer.prediction) + "</td>";
}

std::string samples_section(const Report& report, std::size_t source) {
  const SampleTable samples = compare_answers(report, source);
  if (samples.rows.empty()) return {};
  std::string html = "<h2>Answers side by side" +
                     (report.sources.size() > 1 ? ": " + escape_html(report.sources[source].label) : std::string()) +
                     "</h2><div class=\"scroll\"><table "
                     "class=\"samples\"><thead><tr><th>benchmark</th><th>question</th><th>expected</th><th>base</th>";
  for (const std::size_t branch : samples.branches) html += "<th>" + escape_html(report.branches[branch].name) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (const SampleRow& row : samples.rows) {
    std::string expected;
    for (const std::string& reference : row.base.references) expected += (expected.empty() ? "" : " / ") + reference;
    html += "<tr><td>" + escape_html(row.benchmark) + "</td><td>" +
            escape_html(row.base.question.empty() ? row.base.id : row.base.question) + "</td><td>" +
            escape_html(expected) + "</td>" + answer_cell(row.base);
    for (const KeptAnswer& answer : row.answers) html += answer_cell(answer);
    html += "</tr>\n";
  }
  return html +
         "</tbody></table></div><p class=\"note\">After the last stage: the first questions of each benchmark that not "
         "all of them score alike. ✓ scored one half or more, ✗ less.</p>";
}

}  // namespace

std::string to_html(const Report& report) {
  const Study& first = report.sources[0].study;
  const std::string title = report.sources.size() == 1 ? first.title : std::to_string(report.sources.size()) + " studies";
  std::string html =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><link rel=\"icon\" href=\"data:,\"><title>" +
      escape_html(title) + "</title><style>" + kPageStyle + "</style></head><body>\n<h1>" + escape_html(title) +
      "</h1>\n";
  for (const StudySource& source : report.sources)
    html += "<p class=\"note\">" + escape_html(source.label) + ": " + std::to_string(source.study.parameters) +
            " parameters; labels and prompts in " + escape_html(source.study.mode) + " mode.</p>\n";
  html += trade_off(report) + to_html(measures_table(report));
  if (const Table seeds = seeds_table(report); !seeds.rows.empty()) html += to_html(seeds);
  if (!report.pairs.empty()) html += to_html(pairs_table(report));
  for (std::size_t source = 0; source < report.sources.size(); ++source) html += curves(report, source) + probes_section(report, source);
  if (!report.drifts.empty()) html += to_html(drift_table(report)) + drift_charts(report);
  html += recovery_section(report);
  for (std::size_t source = 0; source < report.sources.size(); ++source)
    html += to_html(changes_table(report, source)) + to_html(matrix_table(report, source)) + samples_section(report, source);
  return html + "<script>" + kPageScript + "</script></body></html>\n";
}

}  // namespace retain::framework
