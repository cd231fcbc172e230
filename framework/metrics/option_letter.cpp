// SPDX-License-Identifier: Apache-2.0
// The benchmarks' own ways of finding the letter of an answer.
#include <string>
#include <string_view>

#include "framework/metrics/option_rules.h"
#include "framework/metrics/punctuation.h"
#include "framework/metrics/registry.h"
#include "framework/text/regex.h"
#include "framework/text/unicode.h"
#include "framework/text/utf8.h"

namespace retain::framework {
namespace {

bool is_one_of(const std::string& answer, const std::vector<std::string>& references, std::string (*normal)(const std::string&)) {
  for (const std::string& reference : references)
    if (answer == normal(reference)) return true;
  return false;
}

std::string first_of(const std::string& text) {
  std::size_t end = 0;
  if (!text.empty()) next_code_point(text, end);
  return text.substr(0, end);
}

std::string lower(const std::string& text) { return to_lower(text); }
std::string lower_stripped(const std::string& text) { return to_lower(strip(text)); }
std::string lower_unmarked(const std::string& text) { return without_punctuation(to_lower(text)); }

std::string one_line(const std::string& text) {
  std::string line = lower_stripped(text);
  for (char& c : line)
    if (c == '\n') c = ' ';
  return line;
}

}  // namespace

double option_letter(const ScoreInput& input) {
  std::string letters;
  for (char letter = 'A'; letter <= 'Z' && (input.options.empty() || letters.size() < input.options.size()); ++letter) letters += letter;
  const std::string letter = to_lower(named_letter(input.prediction, letters, input.options));
  return !letter.empty() && is_one_of(letter, input.references, lower_stripped);
}

double released_option_letter(const ScoreInput& input) {
  static const Regex kAlone(R"(\b([A-Za-z])[.)]?\b)");
  static const Regex kLetter(R"(\A\p{L})");
  const std::string text = strip(input.prediction);
  const auto alone = kAlone.search(text);
  const std::string found = !alone.empty()                 ? std::string(alone[1].of(text))
                            : !kLetter.search(text).empty() ? first_of(text)
                                                            : text;
  return is_one_of(to_lower(found), input.references, lower);
}

double leading_letter(const ScoreInput& input) {
  static const Regex kLeading(R"(\A[\s\x{1C}-\x{1F}]*([A-Z])\.)");
  const auto leading = kLeading.search(input.prediction);
  const std::string found = leading.empty() ? input.prediction : std::string(leading[1].of(input.prediction));
  return is_one_of(lower_unmarked(found), input.references, lower_unmarked);
}

double first_character(const ScoreInput& input) {
  return is_one_of(to_lower(first_of(strip(input.prediction))), input.references, lower_stripped);
}

double scienceqa(const ScoreInput& input) {
  const std::string text = lower_stripped(input.prediction);
  if (is_one_of(text, input.references, lower_stripped)) return 1;
  return text.size() >= 2 && text[1] == '.' && is_one_of(text.substr(0, 1), input.references, lower_stripped);
}

double released_scienceqa(const ScoreInput& input) {
  return is_one_of(lower_stripped(input.prediction), input.references, lower_stripped);
}

double mmstar(const ScoreInput& input) {
  const std::string text = one_line(input.prediction);
  for (const std::string_view before : {"", "(", "option ", "the answer is "})
    if (text.starts_with(before) && is_one_of(first_of(text.substr(before.size())), input.references, one_line) &&
        text.size() > before.size())
      return 1;
  return 0;
}

}  // namespace retain::framework
