// SPDX-License-Identifier: Apache-2.0
// From samples' scores to a benchmark's figure, and to one figure a category.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

enum class Average : std::uint8_t {
  samples,    ///< of all samples alike
  categories  ///< of the categories' means alike (MMStar)
};

/// Throws Error(config_invalid) for another name than "samples" and "categories".
Average average_from_name(const std::string& name);
std::string_view name_of(Average average);

struct CategoryScore {
  std::string category;
  double score = 0;
  std::int64_t samples = 0;
};

struct BenchmarkScore {
  double score = 0;
  std::int64_t samples = 0;                ///< that the metric spoke of
  std::vector<CategoryScore> categories;   ///< in order of first appearance; empty where no sample names one
};

struct ScoredSample {
  double score = 0;      ///< NaN: left out
  std::string category;
};

/// Samples without a category are a category "" of their own where others name one. Throws Error(data_empty) when every
/// sample is left out.
BenchmarkScore average_scores(const std::vector<ScoredSample>& samples, Average average);

}  // namespace retain::framework
