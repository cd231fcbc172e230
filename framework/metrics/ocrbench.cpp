// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "framework/metrics/registry.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

bool is_formula(const ScoreInput& input) {
  return input.category == "HME100k" || input.category == "Handwritten Mathematical Expression Recognition";
}

std::string one_line(const std::string& text) {
  std::string line = strip(text);
  for (char& c : line)
    if (c == '\n') c = ' ';
  return line;
}

std::string without_spaces(const std::string& text) {
  std::string line = one_line(text);
  std::erase(line, ' ');
  return line;
}

bool contains_any(const std::string& text, const ScoreInput& input, std::string (*normal)(const std::string&)) {
  for (const std::string& reference : input.references)
    if (text.find(normal(reference)) != std::string::npos) return true;
  return false;
}

std::string lower_line(const std::string& text) { return one_line(to_lower(text)); }

}  // namespace

double ocrbench(const ScoreInput& input) {
  if (is_formula(input)) return contains_any(without_spaces(input.prediction), input, without_spaces);
  return contains_any(lower_line(input.prediction), input, lower_line);
}

double released_ocrbench(const ScoreInput& input) {
  if (is_formula(input)) return contains_any(without_spaces(to_lower(input.prediction)), input, without_spaces);
  return contains_any(lower_line(input.prediction), input, lower_line);
}

}  // namespace retain::framework
