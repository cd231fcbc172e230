// SPDX-License-Identifier: Apache-2.0
#include "framework/report/samples.h"

#include <algorithm>

namespace retain::framework {
namespace {

constexpr std::size_t kMostRecipes = 8;

/// Of the base first, then of every branch; empty unless all are kept and answer the same questions.
std::vector<const KeptEvaluation*> evaluations_of(const Report& report, const StudySource& source,
                                                  const SampleTable& table, const StudyBenchmark& benchmark) {
  std::vector<const KeptEvaluation*> all{source.answers.find(benchmark, source.study.base)};
  for (const std::size_t branch : table.branches)
    all.push_back(source.answers.find(benchmark, report.branch_of(report.branches[branch]).stages.back()));
  const bool whole = std::all_of(all.begin(), all.end(), [&](const KeptEvaluation* one) {
    return one && all[0] && one->questions == all[0]->questions;
  });
  return whole ? all : std::vector<const KeptEvaluation*>();
}

std::vector<std::size_t> disputed(const std::vector<const KeptEvaluation*>& all, std::size_t most) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < all[0]->scores.size() && places.size() < most; ++i)
    if (std::any_of(all.begin(), all.end(),
                    [&](const KeptEvaluation* one) { return one->scores[i] != all[0]->scores[i]; }))
      places.push_back(i);
  return places;
}

}  // namespace

SampleTable compare_answers(const Report& report, std::size_t source, std::size_t most) {
  SampleTable table;
  for (const RecipeGroup& group : report.groups)
    if (group.source == source && table.branches.size() < kMostRecipes &&
        !report.branch_of(report.branches[group.members[0]]).stages.empty())
      table.branches.push_back(group.members[0]);
  if (table.branches.empty()) return table;
  const StudySource& from = report.sources[source];
  for (const StudyBenchmark& benchmark : from.study.benchmarks) {
    const auto all = evaluations_of(report, from, table, benchmark);
    if (all.empty()) continue;
    const std::vector<std::size_t> places = disputed(all, most);
    std::vector<SampleRow> rows(places.size(), SampleRow{benchmark.name, {}, {}});
    for (std::size_t e = 0; e < all.size() && !places.empty(); ++e) {
      const std::vector<KeptAnswer> texts = from.answers.texts(*all[e]);
      for (std::size_t i = 0; i < places.size(); ++i)
        if (e == 0) rows[i].base = texts.at(places[i]);
        else rows[i].answers.push_back(texts.at(places[i]));
    }
    table.rows.insert(table.rows.end(), rows.begin(), rows.end());
  }
  return table;
}

}  // namespace retain::framework
