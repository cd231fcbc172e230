// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdlib>
#include <optional>

#include "framework/metrics/registry.h"
#include "framework/text/regex.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

std::optional<double> number_in(const std::string& text) {
  static const Regex kNumber(R"(\A([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(%?)\z)");
  const std::string stripped = strip(text);
  const Regex::Match match = kNumber.search(stripped);
  if (match.empty()) return std::nullopt;
  const double value = std::strtod(std::string(match[1].of(stripped)).c_str(), nullptr);
  return match[2].of(stripped).empty() ? value : value / 100;
}

bool matches(const std::string& prediction, const std::string& reference) {
  const std::optional<double> found = number_in(prediction), target = number_in(reference);
  if (found && target && *target != 0) return std::abs(*found - *target) / std::abs(*target) <= 0.05;
  return to_lower(strip(prediction)) == to_lower(strip(reference));
}

/// What Python's float() takes, "%" at the end aside.
std::optional<double> python_float(std::string text) {
  static const Regex kNumber(
      R"(\A([+-]?(?:(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9](?:_?[0-9])*)?|(?i:inf(?:inity)?|nan)))\z)");
  const bool percent = text.ends_with('%');
  while (text.ends_with('%')) text.pop_back();
  std::string stripped = with_ascii_digits(strip(text));
  if (kNumber.search(stripped).empty()) return std::nullopt;
  std::erase(stripped, '_');
  const double value = std::strtod(stripped.c_str(), nullptr);
  return percent ? value / 100 : value;
}

}  // namespace

double released_relaxed_accuracy(const ScoreInput& input) {
  const std::optional<double> found = python_float(input.prediction);
  for (const std::string& reference : input.references) {
    const std::optional<double> target = python_float(reference);
    const bool equal = found && target && *target != 0 ? std::abs(*found - *target) / std::abs(*target) <= 0.05
                                                       : to_lower(input.prediction) == to_lower(reference);
    if (equal) return 1;
  }
  return 0;
}

double relaxed_accuracy(const ScoreInput& input) {
  for (const std::string& reference : input.references)
    if (matches(input.prediction, reference)) return 1;
  return 0;
}

}  // namespace retain::framework
