// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "framework/metrics/registry.h"
#include "framework/text/regex.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

constexpr std::array<std::string_view, 21> kWords{
    "zero",   "one",    "two",      "three",    "four",    "five",    "six",       "seven",    "eight",    "nine",  "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"};

/// A double holds every count a text can mean; digits beyond its range become infinity, which equals no count.
std::optional<double> count_in(const std::string& text) {
  static const Regex kToken(R"(-?[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|-?[0-9]+(?:\.[0-9]+)?|[A-Za-z]+)");
  for (const Regex::Match& match : kToken.all(text)) {
    const std::string word = to_lower(match[0].of(text));
    if (word.back() >= '0' && word.back() <= '9') {
      std::string digits;
      for (const char c : word)
        if (c != ',') digits += c;
      const double value = std::strtod(digits.c_str(), nullptr);
      return std::isfinite(value) && value == std::floor(value) ? std::optional<double>(value) : std::nullopt;
    }
    for (std::size_t i = 0; i < kWords.size(); ++i)
      if (word == kWords[i]) return static_cast<double>(i);
    if (word == "no" || word == "none") return 0;
  }
  return std::nullopt;
}

}  // namespace

double count(const ScoreInput& input) {
  const std::optional<double> found = count_in(input.prediction);
  if (!found) return 0;
  for (const std::string& reference : input.references)
    if (const auto expected = count_in(reference); expected && *expected == *found) return 1;
  return 0;
}

}  // namespace retain::framework
