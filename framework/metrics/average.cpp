// SPDX-License-Identifier: Apache-2.0
#include "framework/metrics/average.h"

#include <algorithm>
#include <cmath>

#include "framework/base/error.h"

namespace retain::framework {

Average average_from_name(const std::string& name) {
  for (const Average average : {Average::samples, Average::categories})
    if (name == name_of(average)) return average;
  throw Error(ErrorKind::config_invalid, {"unknown average \"" + name + "\"", "samples or categories", name, "use one of these"});
}

std::string_view name_of(Average average) { return average == Average::samples ? "samples" : "categories"; }

BenchmarkScore average_scores(const std::vector<ScoredSample>& samples, Average average) {
  BenchmarkScore result;
  for (const ScoredSample& sample : samples) {
    if (std::isnan(sample.score)) continue;
    ++result.samples;
    result.score += sample.score;
    auto found = std::find_if(result.categories.begin(), result.categories.end(),
                              [&](const CategoryScore& known) { return known.category == sample.category; });
    if (found == result.categories.end()) found = result.categories.insert(found, {sample.category, 0, 0});
    found->score += sample.score;
    ++found->samples;
  }
  if (result.samples == 0)
    throw Error(ErrorKind::data_empty, {"the metric speaks of none of the samples", "at least one it can score",
                                        std::to_string(samples.size()) + " samples, all left out", "choose another metric"});
  result.score /= static_cast<double>(result.samples);
  for (CategoryScore& category : result.categories) category.score /= static_cast<double>(category.samples);
  if (average == Average::categories) {
    result.score = 0;
    for (const CategoryScore& category : result.categories) result.score += category.score / static_cast<double>(result.categories.size());
  }
  if (result.categories.size() == 1 && result.categories.front().category.empty()) result.categories.clear();
  return result;
}

}  // namespace retain::framework
