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

}  // namespace

double relaxed_accuracy(const ScoreInput& input) {
  for (const std::string& reference : input.references)
    if (matches(input.prediction, reference)) return 1;
  return 0;
}

}  // namespace retain::framework
