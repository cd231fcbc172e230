// SPDX-License-Identifier: Apache-2.0
#include "framework/report/run_figure.h"

#include <cmath>
#include <map>
#include <string>

namespace retain::framework {
namespace {

bool counts(RunFigure::Questions questions, std::size_t question) {
  return questions == RunFigure::Questions::all || (question % 2 == 0) == (questions == RunFigure::Questions::even);
}

}  // namespace

void RunFigure::add(const StudyBenchmark& benchmark, const Combination& combination, double weight, Questions questions) {
  std::vector<const KeptEvaluation*> found;
  for (const auto& [point, coefficient] : combination) {
    found.push_back(source_.answers.find(benchmark, *point));
    if (!found.back() || found.back()->questions != found.front()->questions) return spoil();
  }
  const KeptEvaluation& first = *found.front();
  std::map<std::string, std::vector<double>> parts;  // of a mean over categories, each category
  for (std::size_t q = 0; q < first.scores.size(); ++q) {
    double value = 0;
    for (std::size_t i = 0; i < combination.size(); ++i) value += combination[i].second * found[i]->scores[q];
    if (counts(questions, q) && !std::isnan(value)) parts[first.categories.empty() ? "" : first.categories[q]].push_back(100 * value);
  }
  for (auto& [category, values] : parts) strata_.push_back({std::move(values), weight / static_cast<double>(parts.size())});
}

std::optional<std::vector<Stratum>> RunFigure::strata() const {
  if (!whole_ || strata_.empty()) return std::nullopt;
  return strata_;
}

}  // namespace retain::framework
