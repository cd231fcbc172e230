// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "framework/metrics/registry.h"
#include "framework/text/unicode.h"
#include "framework/text/utf8.h"

namespace retain::framework {
namespace {

/// Of well-formed text.
std::u32string to_code_points(const std::string& text) {
  std::u32string points;
  for (std::size_t at = 0; at < text.size();) points += next_code_point(text, at);
  return points;
}

/// Levenshtein's edit distance, two rows of the table at a time.
std::size_t edit_distance(const std::u32string& a, const std::u32string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({row[j + 1] + 1, row[j] + 1, replaced}));
    }
  }
  return row.back();
}

double similarity(const std::u32string& a, const std::u32string& b) {
  const std::size_t longer = std::max(a.size(), b.size());
  const double distance = longer == 0 ? 0 : static_cast<double>(edit_distance(a, b)) / static_cast<double>(longer);
  return distance < 0.5 ? 1 - distance : 0;
}

}  // namespace

double anls(const ScoreInput& input) {
  const std::u32string prediction = to_code_points(collapse_space(to_lower(input.prediction)));
  double best = 0;
  for (const std::string& reference : input.references)
    best = std::max(best, similarity(prediction, to_code_points(collapse_space(to_lower(reference)))));
  return best;
}

double released_anls(const ScoreInput& input) {
  const auto length = [](const std::string& text) { return to_code_points(to_upper(text)).size(); };  // as released: "ß" becomes "SS"
  const std::u32string prediction = to_code_points(collapse_space(to_lower(input.prediction)));
  double best = 0;
  for (const std::string& reference : input.references) {
    const std::size_t longer = std::max(length(reference), length(input.prediction));
    const std::size_t distance = edit_distance(prediction, to_code_points(collapse_space(to_lower(reference))));
    best = std::max(best, longer == 0 ? 1 : 1 - static_cast<double>(distance) / static_cast<double>(longer));
  }
  return best < 0.5 ? 0 : best;
}

}  // namespace retain::framework
