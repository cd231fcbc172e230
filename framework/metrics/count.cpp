// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
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

/// Without full stops, lower case, digits of any script in ASCII (Python's \d and int() take them all): what the released rules look at.
std::string without_stops(const std::string& text) {
  std::string kept = with_ascii_digits(to_lower(text));
  std::erase(kept, '.');
  return kept;
}

/// The first run of digits without its leading zeros; empty when there is none.
std::string first_digits(const std::string& text) {
  const std::size_t begin = text.find_first_of("0123456789");
  if (begin == std::string::npos) return "";
  const std::size_t end = std::min(text.find_first_not_of("0123456789", begin), text.size());
  const std::size_t first = std::min(text.find_first_not_of('0', begin), end - 1);
  return text.substr(first, end - first);
}

/// Words become digits one after another, zero first, also inside longer words.
std::string digits_for_words(std::string text) {
  for (std::size_t i = 0; i < kWords.size(); ++i)
    for (std::size_t at = text.find(kWords[i]); at != std::string::npos; at = text.find(kWords[i], at))
      text.replace(at, kWords[i].size(), std::to_string(i));
  return text;
}

std::string first_number(const std::string& text) {
  if (const std::string digits = first_digits(text); !digits.empty()) return digits;
  for (std::size_t i = 0; i < kWords.size(); ++i)
    if (text.find(kWords[i]) != std::string::npos) return std::to_string(i);
  return "";
}

}  // namespace

double released_count(const ScoreInput& input) {
  const std::string found = first_digits(digits_for_words(without_stops(input.prediction)));
  if (found.empty()) return 0;
  for (const std::string& reference : input.references)
    if (first_digits(digits_for_words(without_stops(reference))) == found) return 1;
  return 0;
}

double released_countbench(const ScoreInput& input) {
  const std::string found = first_number(without_stops(input.prediction));
  if (found.empty()) return 0;
  for (const std::string& reference : input.references)
    if (first_number(without_stops(reference)) == found) return 1;
  return 0;
}

double count(const ScoreInput& input) {
  const std::optional<double> found = count_in(input.prediction);
  if (!found) return 0;
  for (const std::string& reference : input.references)
    if (const auto expected = count_in(reference); expected && *expected == *found) return 1;
  return 0;
}

}  // namespace retain::framework
