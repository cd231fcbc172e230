// SPDX-License-Identifier: Apache-2.0
#include "framework/metrics/registry.h"
#include "framework/metrics/punctuation.h"
#include "framework/text/regex.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

std::string normalise(const std::string& text) {
  static const Regex kArticle(R"(\b(?:a|an|the)\b)");
  const std::string kept = without_punctuation(to_lower(text));
  std::string spaced;
  std::size_t copied = 0;
  for (const Regex::Match& match : kArticle.all(kept)) {
    spaced += kept.substr(copied, match[0].begin - copied) + " ";
    copied = match[0].end;
  }
  return collapse_space(spaced + kept.substr(copied));
}

}  // namespace

double exact_match(const ScoreInput& input) {
  const std::string prediction = normalise(input.prediction);
  for (const std::string& reference : input.references)
    if (prediction == normalise(reference)) return 1;
  return 0;
}

double released_exact_match(const ScoreInput& input) {
  const std::string prediction = without_punctuation(to_lower(input.prediction));
  for (const std::string& reference : input.references)
    if (prediction == without_punctuation(to_lower(reference))) return 1;
  return 0;
}

}  // namespace retain::framework
