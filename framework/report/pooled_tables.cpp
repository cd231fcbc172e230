// SPDX-License-Identifier: Apache-2.0
#include "framework/report/pooled_tables.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "framework/report/probe_figures.h"

namespace retain::framework {
namespace {

constexpr const char* kPoints = "%+.1f";
constexpr std::size_t kMostStages = 6;
constexpr const char* kIntervals =
    "Percentage points with 95 % intervals for other questions (bootstrap) and for other orders of the tasks, or with "
    "one order for other seeds (Student's t: two or three say little, so their intervals are wide); of a recipe with "
    "one run for other questions alone.";

/// "number_bias", or "distance, KL divergence from the base (nats)".
std::string column_of(const Report& report, const std::string& probe) {
  for (const StudySource& source : report.sources)
    if (source.study.base.probes.contains(probe) && !is_probability(source, probe)) return probe + ", " + unit_of(source, probe);
  return probe;
}

std::set<std::string> probes_of(const std::vector<PooledRecipe>& pooled) {
  std::set<std::string> probes;
  for (const PooledRecipe& recipe : pooled)
    for (const auto& [probe, figure] : recipe.probes) probes.insert(probe);
  return probes;
}

TableCell probe_cell(const std::map<std::string, Interval>& probes, const std::string& probe) {
  const auto found = probes.find(probe);
  return found == probes.end() ? text_cell("–") : interval_cell(found->second, "%+.2f");
}

/// At most kMostStages of 0 … stages − 1, evenly, with the last.
std::vector<std::size_t> shown_stages(std::size_t stages) {
  const std::size_t shown = std::min(stages, kMostStages);
  std::vector<std::size_t> positions;
  for (std::size_t i = 1; i <= shown; ++i) positions.push_back(i * stages / shown - 1);
  return positions;
}

}  // namespace

Table pooled_table(const Report& report, const std::vector<PooledRecipe>& pooled) {
  const std::set<std::string> probes = probes_of(pooled);
  Table table{"pooled",
              "Learning and forgetting over all orders and seeds",
              {"recipe", "learned", "kept", "held-out change", "came back"},
              {},
              std::string(kIntervals) +
                  " Learned: a target right after its own stage against the base. Kept: after the last stage. Came "
                  "back: held-out mean after the last stage against the lowest stage, which is chosen by other "
                  "questions than it is measured with. Probes: mean over the stages against the base, percentage "
                  "points where the column names no unit."};
  for (const std::string& probe : probes) table.columns.push_back(column_of(report, probe));
  for (const PooledRecipe& recipe : pooled) {
    table.rows.push_back({text_cell(recipe.name), interval_cell(recipe.learning, kPoints),
                          interval_cell(recipe.kept, kPoints), interval_cell(recipe.held_out, kPoints),
                          interval_cell(recipe.rebound, kPoints)});
    for (const std::string& probe : probes) table.rows.back().push_back(probe_cell(recipe.probes, probe));
  }
  return table;
}

Table against_llm_table(const Report& report, const std::vector<PooledRecipe>& pooled) {
  const std::set<std::string> probes = probes_of(pooled);
  Table table{"against-llm",
              "Each recipe against the whole language model",
              {"difference", "learned", "held-out change", "both together"},
              {},
              std::string(kIntervals) +
                  " Runs are compared within the same order and seed. Nothing is corrected for the number of lines."};
  for (const std::string& probe : probes) table.columns.push_back(column_of(report, probe));
  for (const PooledRecipe& whole : pooled) {
    if (whole.recipe != "llm") continue;
    for (const PooledRecipe& recipe : pooled) {
      if (recipe.source != whole.source || &recipe == &whole) continue;
      const PooledPair pair = pool_pair(report, recipe, whole);
      if (pair.runs == 0) continue;
      table.rows.push_back({text_cell(pair.name), interval_cell(pair.learning, kPoints),
                            interval_cell(pair.held_out, kPoints), interval_cell(pair.balance, kPoints)});
      for (const std::string& probe : probes) table.rows.back().push_back(probe_cell(pair.probes, probe));
    }
  }
  return table;
}

Table stages_table(const Report& report, const std::vector<PooledRecipe>& pooled, std::size_t source) {
  Table table{"stages" + (report.sources.size() > 1 ? "-" + std::to_string(source + 1) : ""),
              "Along the curriculum" + (report.sources.size() > 1 ? ": " + report.sources[source].label : ""),
              {"recipe"},
              {},
              "Held-out mean against the base, percentage points, and probes, per cent where the column names no unit, "
              "after the stage of that number; means over the runs."};
  const std::set<std::string> probes = probes_of(pooled);
  std::vector<std::size_t> positions;
  for (const PooledRecipe& recipe : pooled) {
    if (recipe.source != source) continue;
    if (positions.empty()) {
      positions = shown_stages(recipe.held_out_by_stage.size());
      const auto add_columns = [&](const std::string& name) {
        for (const std::size_t k : positions) table.columns.push_back(name + ", " + std::to_string(k + 1));
      };
      add_columns("held-out");
      for (const std::string& probe : probes) add_columns(column_of(report, probe));
    }
    table.rows.push_back({text_cell(recipe.name)});
    for (const std::size_t k : positions) table.rows.back().push_back(number_cell(recipe.held_out_by_stage[k], kPoints));
    for (const std::string& probe : probes) {
      const auto found = recipe.probes_by_stage.find(probe);
      for (const std::size_t k : positions)
        table.rows.back().push_back(number_cell(found == recipe.probes_by_stage.end() ? NAN : found->second[k], "%.2f"));
    }
  }
  return table;
}

}  // namespace retain::framework
