// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "framework/metrics/punctuation.h"
#include "framework/metrics/registry.h"
#include "framework/text/regex.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

constexpr std::array<std::string_view, 11> kNumbers{"zero", "one", "two",   "three", "four", "five",
                                                    "six",  "seven", "eight", "nine",  "ten"};

std::string digit_for(const std::string& text) {
  const auto found = std::find(kNumbers.begin(), kNumbers.end(), to_lower(text));
  return found == kNumbers.end() ? text : std::to_string(found - kNumbers.begin());
}

/// Without what Python's \w and \s leave out: the information separators are white space there, U+180E is none.
std::string cleaned(const std::string& text) {
  static const Regex kMark(R"([^\p{L}\p{N}_\s\x{1C}-\x{1F}]|\x{180E})");
  std::string kept;
  std::size_t copied = 0;
  for (const Regex::Match& match : kMark.all(text)) {
    kept += text.substr(copied, match[0].begin - copied);
    copied = match[0].end;
  }
  return strip(kept + text.substr(copied));
}

/// Options as given, or the "X. text" lines of the question.
std::vector<std::string> options_of(const ScoreInput& input) {
  static const Regex kLine(R"(\b[A-Z]\.[\s\x{1C}-\x{1F}]+([^\n]*))");
  if (!input.options.empty()) return input.options;
  std::vector<std::string> options;
  for (const Regex::Match& match : kLine.all(input.question)) options.push_back(strip(match[1].of(input.question)));
  return options;
}

/// Letter of the option whose text occurs first in `text`, of several there the one named first; `text` itself without any. Of
/// two options alike the later one's letter.
std::string letter_for(const std::string& text, const std::vector<std::string>& options) {
  std::size_t place = std::string::npos;
  std::string hit;
  for (const std::string& option : options)
    if (const std::size_t at = text.find(option); at < place) std::tie(place, hit) = std::pair(at, option);
  if (place == std::string::npos) return text;
  const auto last = std::find(options.rbegin(), options.rend(), hit);
  return std::string(1, static_cast<char>('A' + (options.rend() - last - 1)));
}

}  // namespace

double realworldqa(const ScoreInput& input) {
  const std::string answer = letter_for(cleaned(digit_for(input.prediction)), options_of(input));
  for (const std::string& reference : input.references)
    if (without_punctuation(to_lower(answer)) == without_punctuation(to_lower(reference))) return 1;
  return 0;
}

}  // namespace retain::framework
