// SPDX-License-Identifier: Apache-2.0
#include "framework/report/probe_figures.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

namespace retain::framework {
namespace {

constexpr const char* kFigure = "%.4g";

/// A place in a branch where probes read: a stage's end (step = its last), or a step inside it.
struct Place {
  std::string stage;  ///< "base", or the task taught
  std::int64_t step;
  bool end;
  const std::map<std::string, double>& probes;
  const std::map<std::string, std::string>& readings;
};

std::vector<Place> places_of(const StudyPoint& point) {
  std::vector<Place> places;
  for (const StudyStep& step : point.steps) places.push_back({point.task, step.step, false, step.probes, step.readings});
  places.push_back({point.task, point.last_step, true, point.probes, point.readings});
  return places;
}

std::string id_of(const Report& report, const std::string& id, std::size_t source) {
  return report.sources.size() > 1 ? id + "-" + std::to_string(source + 1) : id;
}

std::string title_of(const Report& report, const std::string& title, std::size_t source) {
  return report.sources.size() > 1 ? title + ": " + report.sources[source].label : title;
}

/// The base, then every place of every branch, with the branch's name.
template <class Look>
void for_each_place(const Report& report, std::size_t source, const Look& look) {
  const StudyPoint& base = report.sources[source].study.base;
  look(std::string("base"), Place{"", 0, true, base.probes, base.readings});
  for (const BranchFigures& figures : report.branches)
    if (figures.source == source)
      for (const StudyPoint& point : report.branch_of(figures).stages)
        for (const Place& place : places_of(point)) look(figures.name, place);
}

/// The first seed of each recipe and order of a source.
std::vector<const BranchFigures*> shown_branches(const Report& report, std::size_t source) {
  std::vector<const BranchFigures*> shown;
  for (const RecipeGroup& group : report.groups)
    if (group.source == source) shown.push_back(&report.branches[group.members[0]]);
  return shown;
}

double figure(const std::map<std::string, double>& probes, const std::string& probe) {
  const auto found = probes.find(probe);
  return found == probes.end() ? NAN : found->second;
}

std::optional<json::object> reading_at(const StudySource& source, const std::map<std::string, std::string>& readings,
                                       const std::string& probe) {
  const auto found = readings.find(probe);
  return found == readings.end() ? std::nullopt : source.readings.find(found->second);
}

std::string kind_of(const StudySource& source, const std::string& probe) {
  const auto reading = reading_at(source, source.study.base.readings, probe);
  return reading ? std::string(reading->at("kind").as_string()) : std::string();
}

std::vector<std::string> probes_of_kind(const StudySource& source, const std::string& kind) {
  std::vector<std::string> probes;
  for (const auto& [probe, key] : source.study.base.readings)
    if (kind_of(source, probe) == kind) probes.push_back(probe);
  return probes;
}

/// One probe in the stages of one name: recipes over steps, whose ticks are all steps of all recipes.
Chart step_curve(const Report& report, std::size_t source, const std::string& probe, const std::string& stage) {
  const StudySource& from = report.sources[source];
  std::set<std::int64_t> all;
  const std::vector<const BranchFigures*> shown = shown_branches(report, source);
  for (const BranchFigures* figures : shown)
    for (const StudyPoint& point : report.branch_of(*figures).stages)
      for (const StudyStep& step : point.steps)
        if (point.task == stage && step.probes.contains(probe)) all.insert(step.step);
  const std::vector<std::int64_t> steps(all.begin(), all.end());
  Chart chart{title_of(report, probe + " while " + stage + " is taught", source),
              "optimizer steps",
              unit_of(from, probe),
              {"start"},
              true,
              {}};
  for (const std::int64_t step : steps) chart.x_ticks.push_back(std::to_string(step));
  chart.x_ticks.emplace_back("end");
  for (const BranchFigures* figures : shown) {
    const StudyPoint* before = &from.study.base;
    for (const StudyPoint& point : report.branch_of(*figures).stages) {
      if (point.task == stage && !point.steps.empty()) {
        ChartSeries series{figures->name, {0}, {figure(before->probes, probe)}};
        for (const StudyStep& step : point.steps) {
          if (!step.probes.contains(probe)) continue;
          series.x.push_back(1.0 + static_cast<double>(std::lower_bound(steps.begin(), steps.end(), step.step) - steps.begin()));
          series.y.push_back(figure(step.probes, probe));
        }
        series.x.push_back(1.0 + static_cast<double>(steps.size()));
        series.y.push_back(figure(point.probes, probe));
        chart.series.push_back(std::move(series));
      }
      before = &point;
    }
  }
  return chart;
}

std::vector<std::string> texts_of(const json::object& reading, const char* key, std::size_t most) {
  std::vector<std::string> texts;
  for (const json::value& answer : reading.at("answers").as_array())
    if (texts.size() < most) texts.emplace_back(answer.at(key).as_string());
  return texts;
}

}  // namespace

std::string unit_of(const StudySource& source, const std::string& probe) {
  const std::string kind = kind_of(source, probe);
  if (kind == "token_bias") return "probability of its tokens";
  if (kind == "output_distance") return "KL divergence from the base (nats)";
  if (kind == "layer_delta") return "distance of contributed logits";
  return "figure";
}

bool is_probability(const StudySource& source, const std::string& probe) {
  const std::string kind = kind_of(source, probe);
  return kind.empty() || kind == "token_bias";
}

bool is_number_bias(const StudySource& source, const std::string& probe) {
  const auto reading = reading_at(source, source.study.base.readings, probe);
  return reading && reading->contains("vocabulary") ? reading->at("vocabulary") == "numbers" : probe == "number_bias";
}

Table probes_table(const Report& report, std::size_t source) {
  Table table{id_of(report, "probes", source),
              title_of(report, "Probes", source),
              {"recipe", "stage", "steps", "probe", "figure", "what it is"},
              {},
              "Steps: optimizer steps since the stage began; the last of a stage is its end."};
  for_each_place(report, source, [&](const std::string& branch, const Place& place) {
    for (const auto& [probe, value] : place.probes)
      table.rows.push_back({text_cell(branch), text_cell(place.stage.empty() ? "–" : place.stage),
                            number_cell(static_cast<double>(place.step), "%.0f"), text_cell(probe),
                            number_cell(value, kFigure), text_cell(unit_of(report.sources[source], probe))});
  });
  return table;
}

Table layers_table(const Report& report, std::size_t source) {
  Table table{id_of(report, "layers", source), title_of(report, "Contribution of layers to the logits, against the base's", source),
              {"recipe", "stage", "steps", "probe", "layer", "attention", "MLP"}, {},
              "‖W h − W₀ h₀‖₂ of what each block adds, mean over positions, then captions (the final norm is passed over)."};
  const StudySource& from = report.sources[source];
  for (const std::string& probe : probes_of_kind(from, "layer_delta"))
    for_each_place(report, source, [&](const std::string& branch, const Place& place) {
      const auto reading = branch == "base" ? std::nullopt : reading_at(from, place.readings, probe);
      for (std::size_t layer = 0; reading && layer < reading->at("attention").as_array().size(); ++layer)
        table.rows.push_back({text_cell(branch), text_cell(place.stage),
                              number_cell(static_cast<double>(place.step), "%.0f"), text_cell(probe),
                              number_cell(static_cast<double>(layer), "%.0f"),
                              number_cell(reading->at("attention").at(layer).to_number<double>(), kFigure),
                              number_cell(reading->at("mlp").at(layer).to_number<double>(), kFigure)});
    });
  return table;
}

std::vector<Chart> step_curves(const Report& report, std::size_t source) {
  std::vector<Chart> charts;
  std::set<std::pair<std::string, std::string>> drawn;
  for (const BranchFigures* figures : shown_branches(report, source))
    for (const StudyPoint& point : report.branch_of(*figures).stages)
      for (const StudyStep& step : point.steps)
        for (const auto& [probe, value] : step.probes)
          if (drawn.insert({probe, point.task}).second) charts.push_back(step_curve(report, source, probe, point.task));
  return charts;
}

std::vector<Chart> layer_curves(const Report& report, std::size_t source) {
  std::vector<Chart> charts;
  const StudySource& from = report.sources[source];
  for (const std::string& probe : probes_of_kind(from, "layer_delta")) {
    Chart chart{title_of(report, probe + " after the last stage", source), "layer", unit_of(from, probe), {}, true, {}};
    for (const BranchFigures* figures : shown_branches(report, source)) {
      const StudyBranch& branch = report.branch_of(*figures);
      const auto reading = branch.stages.empty() ? std::nullopt : reading_at(from, branch.stages.back().readings, probe);
      if (!reading) continue;
      for (const auto& [key, name] : {std::pair{"attention", "attention"}, std::pair{"mlp", "MLP"}}) {
        ChartSeries series{figures->name + ", " + name, {}, {}};
        for (const json::value& value : reading->at(key).as_array()) {
          series.x.push_back(static_cast<double>(series.x.size()));
          series.y.push_back(value.to_number<double>());
        }
        chart.series.push_back(std::move(series));
      }
    }
    if (!chart.series.empty()) charts.push_back(std::move(chart));
  }
  return charts;
}

std::vector<WrittenTable> written_answers(const Report& report, std::size_t source, std::size_t most) {
  std::vector<WrittenTable> tables;
  const StudySource& from = report.sources[source];
  for (const std::string& probe : probes_of_kind(from, "samples")) {
    const auto base = reading_at(from, from.study.base.readings, probe);
    WrittenTable table{probe, texts_of(*base, "question", most), {{"base", texts_of(*base, "answer", most)}}};
    for (const BranchFigures* figures : shown_branches(report, source))
      for (const StudyPoint& point : report.branch_of(*figures).stages)
        for (const Place& place : places_of(point))
          if (const auto reading = reading_at(from, place.readings, probe))
            table.rows.push_back(
                {figures->name + ", " + place.stage + (place.end ? ", end" : ", step " + std::to_string(place.step)),
                 texts_of(*reading, "answer", most)});
    tables.push_back(std::move(table));
  }
  return tables;
}

}  // namespace retain::framework
