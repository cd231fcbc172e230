// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <string_view>

#include "framework/metrics/option_rules.h"
#include "framework/metrics/registry.h"
#include "framework/text/regex.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The one letter that stands as a word. "A" and "I" are also English words and count only as the text's last word.
std::string only_letter(const std::string& text, const std::string& letters) {
  std::size_t end = text.size();
  while (end > 0 && std::string_view(".! ").find(text[end - 1]) != std::string_view::npos) --end;
  std::set<std::string> found;
  for (const Regex::Match& match : Regex("\\b[" + letters + "]\\b").all(text)) {
    const std::string letter(match[0].of(text));
    if ((letter != "A" && letter != "I") || match[0].end == end) found.insert(letter);
  }
  return found.size() == 1 ? *found.begin() : "";
}

std::string only_option_text(const std::string& text, const std::vector<std::string>& options) {
  const std::string lower = to_lower(text);
  std::string hit;
  for (std::size_t i = 0; i < std::min(options.size(), kLetters.size()); ++i) {
    if (Regex("(?<!\\w)" + Regex::escape(to_lower(options[i])) + "(?!\\w)").search(lower).empty()) continue;
    if (!hit.empty()) return "";
    hit = kLetters[i];
  }
  return hit;
}

}  // namespace

std::string named_letter(const std::string& prediction, const std::string& letters, const std::vector<std::string>& options) {
  if (letters.empty()) return "";
  const std::string text = strip(prediction);
  if (const auto alone = Regex("\\A\\(?([" + letters + to_lower(letters) + "])\\)?[.:,]?\\z").search(text); !alone.empty())
    return {static_cast<char>(alone[1].of(text)[0] & ~0x20)};
  if (const auto first = Regex("\\A(?:\\(([" + letters + "])\\)|([" + letters + "])[.):,])").search(text); !first.empty())
    return std::string((first[1].set() ? first[1] : first[2]).of(text));
  const Regex said("(?i:\\b(?:answer|option|choice)\\s*(?:is|:)\\s*(?:the\\s+)?(?:option\\s+)?)\\(?([" + letters + "])\\b");
  if (const auto named = said.search(text); !named.empty()) return std::string(named[1].of(text));
  if (const auto bracketed = Regex("\\(([" + letters + "])\\)").all(text); !bracketed.empty())
    return std::string(bracketed.back()[1].of(text));
  const std::string letter = only_letter(text, letters);
  return letter.empty() ? only_option_text(text, options) : letter;
}

double mcq(const ScoreInput& input) {
  const std::string letters(kLetters.substr(0, input.options.size()));
  const std::string letter = named_letter(input.prediction, letters, input.options);
  return !letter.empty() && std::find(input.references.begin(), input.references.end(), letter) != input.references.end();
}

}  // namespace retain::framework
