// SPDX-License-Identifier: Apache-2.0
// PathVQA's measures over words: the released ones as LMM_CL's evaluation computes them, the clean ones as their names say.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <string_view>

#include "framework/metrics/registry.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

using Counts = std::map<std::string, double>;

std::vector<std::string> letters_only(const std::string& text) {
  std::string kept;
  for (const char c : text)
    if (c == ' ' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) kept += c;
  return words_of(to_lower(kept));
}

/// How often every run of `n` words occurs.
Counts runs_of(const std::string& text, std::size_t n) {
  const std::vector<std::string> words = letters_only(text);
  Counts counts;
  for (std::size_t i = 0; i + n <= words.size(); ++i) {
    std::string run;
    for (std::size_t j = i; j < i + n; ++j) run += (j == i ? "" : " ") + words[j];
    ++counts[run];
  }
  return counts;
}

double total(const Counts& counts) {
  double sum = 0;
  for (const auto& [run, count] : counts) sum += count;
  return sum;
}

double count_of(const Counts& counts, const std::string& run) {
  const auto found = counts.find(run);
  return found == counts.end() ? 0 : found->second;
}

double code_points(const std::string& text) {
  return static_cast<double>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

template <class Score>
double best(const ScoreInput& input, Score score) {
  double highest = 0;
  for (const std::string& reference : input.references) highest = std::max(highest, score(reference));
  return highest;
}

double harmonic_mean(double precision, double recall) {
  return precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall);
}

/// Share of the prediction's runs that some reference has, each as often as the reference with most of it.
double precision(const ScoreInput& input, std::size_t n) {
  const Counts found = runs_of(input.prediction, n);
  double kept = 0;
  Counts most;
  for (const std::string& reference : input.references)
    for (const auto& [run, count] : runs_of(reference, n)) most[run] = std::max(most[run], count);
  for (const auto& [run, count] : found) kept += std::min(count, count_of(most, run));
  return found.empty() ? 0 : kept / total(found);
}

/// exp(1 − r/c) for a prediction of length c not above r, the reference length nearest to it (the shorter of two as near).
double brevity(double c, const ScoreInput& input, double (*length)(const std::string&)) {
  double r = length(input.references.front());
  for (const std::string& reference : input.references) {
    const double other = length(reference);
    if (std::pair(std::abs(other - c), other) < std::pair(std::abs(r - c), r)) r = other;
  }
  return c > r ? 1 : std::exp(1 - r / c);
}

double word_count(const std::string& text) { return static_cast<double>(letters_only(text).size()); }

double bleu(const ScoreInput& input, std::size_t longest) {
  if (input.references.empty()) return 0;
  double logarithms = 0;
  for (std::size_t n = 1; n <= longest; ++n) {
    const double share = precision(input, n);
    if (share == 0) return 0;
    logarithms += std::log(share) / static_cast<double>(longest);
  }
  return brevity(word_count(input.prediction), input, word_count) * std::exp(logarithms);
}

double released_bleu(const ScoreInput& input, std::size_t longest) {
  ScoreInput stripped = input;
  stripped.prediction = strip(input.prediction);
  if (input.references.empty() || stripped.prediction.empty()) return 0;
  double logarithms = 0;
  for (std::size_t n = 1; n <= longest; ++n)
    if (const double share = precision(stripped, n); share > 0) logarithms += std::log(share) / static_cast<double>(longest);
  return brevity(code_points(stripped.prediction), stripped, code_points) * std::exp(logarithms);
}

bool asks_yes_or_no(const std::string& question) {
  const std::string text = to_lower(strip(question));
  for (const std::string_view opening : {"is ", "are ", "was ", "were ", "does ", "do ", "did ", "can ", "could ", "would ",
                                         "should ", "has ", "have ", "had ", "will ", "shall ", "am i "})
    if (text.starts_with(opening)) return true;
  return false;
}

}  // namespace

double pathvqa(const ScoreInput& input) {
  const auto words = letters_only(input.prediction);
  return best(input, [&](const std::string& reference) {
    if (words != letters_only(reference)) return 0.0;
    return words.empty() ? exact_match({input.prediction, {reference}, {}, {}, {}}) : 1.0;  // "90%" and "95%" both have no words
  });
}

double released_pathvqa(const ScoreInput& input) {
  const Counts found = runs_of(input.prediction, 1);
  return best(input, [&](const std::string& reference) {
    double hits = 0;
    for (const auto& [word, count] : runs_of(reference, 1)) hits += found.contains(word);
    return found.empty() ? 0 : hits / total(found);
  });
}

double word_f1(const ScoreInput& input) {
  const Counts found = runs_of(input.prediction, 1);
  return best(input, [&](const std::string& reference) {
    const Counts expected = runs_of(reference, 1);
    double both = 0;
    for (const auto& [word, count] : found) both += std::min(count, count_of(expected, word));
    return both == 0 ? 0 : harmonic_mean(both / total(found), both / total(expected));
  });
}

double released_word_f1(const ScoreInput& input) {
  const Counts found = runs_of(input.prediction, 1);
  return best(input, [&](const std::string& reference) {
    const Counts expected = runs_of(reference, 1);
    double right = 0, missed = 0;
    for (const auto& [word, count] : found) right += expected.contains(word) ? count : 0;
    for (const auto& [word, count] : expected) missed += found.contains(word) ? 0 : count;
    return right == 0 ? 0 : harmonic_mean(right / total(found), right / (right + missed));
  });
}

double bleu_1(const ScoreInput& input) { return bleu(input, 1); }
double bleu_2(const ScoreInput& input) { return bleu(input, 2); }
double bleu_3(const ScoreInput& input) { return bleu(input, 3); }
double released_bleu_1(const ScoreInput& input) { return released_bleu(input, 1); }
double released_bleu_2(const ScoreInput& input) { return released_bleu(input, 2); }
double released_bleu_3(const ScoreInput& input) { return released_bleu(input, 3); }

double yes_no(const ScoreInput& input) {
  return asks_yes_or_no(input.question) ? exact_match(input) : std::numeric_limits<double>::quiet_NaN();
}

double released_yes_no(const ScoreInput& input) {
  if (!asks_yes_or_no(input.question)) return std::numeric_limits<double>::quiet_NaN();
  const std::string answer = strip(to_lower(input.prediction));
  return best(input, [&](const std::string& reference) { return answer == strip(to_lower(reference)) ? 1.0 : 0.0; });
}

}  // namespace retain::framework
