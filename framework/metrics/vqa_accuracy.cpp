// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "framework/metrics/registry.h"
#include "framework/metrics/vqa_contractions.h"
#include "framework/text/regex.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

constexpr std::string_view kPunctuation = ";/[]\"{}()=+\\_-><@`,?!";
constexpr std::array<std::string_view, 11> kNumbers{"zero", "one", "two",   "three", "four", "five",
                                                    "six",  "seven", "eight", "nine",  "ten"};

bool touches_space(std::string_view text, char mark) {
  for (std::size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + 1))
    if ((at > 0 && text[at - 1] == ' ') || (at + 1 < text.size() && text[at + 1] == ' ')) return true;
  return false;
}

constexpr std::size_t kEveryStop = std::string::npos;
constexpr std::size_t kReleasedStops = 32;  // re.UNICODE, which the released code passes where re.sub() takes a count

/// A mark is deleted where it touches a space anywhere, or where the text holds "digit,digit"; otherwise it becomes a space.
/// At most `stops` full stops outside numbers are deleted.
std::string without_marks(const std::string& text, std::size_t stops) {
  static const Regex kThousands("[0-9],[0-9]");
  static const Regex kFullStop(R"(\.(?!\p{Nd}))");
  const bool thousands = !kThousands.search(text).empty();
  std::string kept;
  for (const char c : text) {
    if (kPunctuation.find(c) == kPunctuation.npos)
      kept += c;
    else if (!thousands && !touches_space(text, c))
      kept += ' ';
  }
  std::string result;
  std::size_t copied = 0;
  for (const Regex::Match& match : kFullStop.all(kept)) {
    if (stops != kEveryStop && stops-- == 0) break;
    result += kept.substr(copied, match[0].begin - copied);
    copied = match[0].end;
  }
  return result + kept.substr(copied);
}

std::string normal_word(const std::string& word) {
  if (word == "none") return "0";
  for (std::size_t i = 0; i < kNumbers.size(); ++i)
    if (word == kNumbers[i]) return std::to_string(i);
  const auto found = std::lower_bound(kVqaContractions.begin(), kVqaContractions.end(), std::string_view(word),
                                      [](const auto& entry, std::string_view value) { return entry.first < value; });
  return found != kVqaContractions.end() && found->first == word ? std::string(found->second) : word;
}

/// Articles dropped, number words and contractions replaced.
std::string normal_words(const std::string& text) {
  std::string result;
  for (const std::string& word : words_of(to_lower(text))) {
    if (word == "a" || word == "an" || word == "the") continue;
    result += (result.empty() ? "" : " ") + normal_word(word);
  }
  return result;
}

std::string with_spaces(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return text;
}

std::string normalise(const std::string& text) { return normal_words(without_marks(strip(with_spaces(text)), kEveryStop)); }

/// EvalAI's answer processor (Pythia's, as lmms-eval carries it).
std::string released_normalise(const std::string& text) {
  std::string kept = to_lower(text);
  std::erase_if(kept, [](char c) { return c == ',' || c == '?'; });
  for (std::size_t at = kept.find("'s"); at != std::string::npos; at = kept.find("'s", at + 3)) kept.insert(at, " ");
  return normal_words(without_marks(strip(with_spaces(strip(kept))), kReleasedStops));
}

double leave_one_out(const ScoreInput& input, std::string (*normal)(const std::string&)) {
  if (input.references.empty()) return 0;
  const std::string prediction = normal(input.prediction);
  std::size_t matches = 0;
  std::vector<bool> equal;
  for (const std::string& reference : input.references) {
    equal.push_back(normal(reference) == prediction);
    matches += equal.back();
  }
  double sum = 0;  // over the subsets that leave one reference out
  for (const bool left_out_matches : equal)
    sum += std::min(1.0, static_cast<double>(matches - (left_out_matches ? 1 : 0)) / 3);
  return sum / static_cast<double>(input.references.size());
}

}  // namespace

double vqa_accuracy(const ScoreInput& input) { return leave_one_out(input, normalise); }
double released_vqa_accuracy(const ScoreInput& input) { return leave_one_out(input, released_normalise); }

}  // namespace retain::framework
