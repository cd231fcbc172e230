// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>

#include "framework/metrics/registry.h"
#include "framework/text/regex.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

/// Doubles hold whatever runs of digits a text has.
struct Time {
  double hour = 0;
  double minute = 0;
};

double number(std::string_view digits) { return std::strtod(std::string(digits).c_str(), nullptr); }

std::optional<Time> time_in(const std::string& raw) {
  static const Regex kTime("([0-9]{1,2}):([0-9]{1,2})");
  static const Regex kDigits("[0-9]+");
  std::string text = with_ascii_digits(to_lower(raw));
  std::erase(text, '.');
  if (const auto time = kTime.search(text); !time.empty()) return Time{number(time[1].of(text)), number(time[2].of(text))};
  const auto numbers = kDigits.all(text);
  if (numbers.size() < 2) return std::nullopt;
  return Time{number(numbers[0][0].of(text)), number(numbers[1][0].of(text))};
}

bool same_hour(const Time& a, const Time& b) { return a.hour == b.hour; }

bool same_minute(const Time& a, const Time& b) {
  const double apart = std::abs(a.minute - b.minute);
  return apart <= 1 || apart == 59;
}

bool same_time(const Time& a, const Time& b) { return same_hour(a, b) && same_minute(a, b); }

double compare(const ScoreInput& input, bool (*same)(const Time&, const Time&)) {
  const auto found = time_in(input.prediction);
  if (!found) return 0;
  for (const std::string& reference : input.references)
    if (const auto expected = time_in(reference); expected && same(*found, *expected)) return 1;
  return 0;
}

}  // namespace

double clock_time(const ScoreInput& input) { return compare(input, same_time); }
double clock_hour(const ScoreInput& input) { return compare(input, same_hour); }
double clock_minute(const ScoreInput& input) { return compare(input, same_minute); }

}  // namespace retain::framework
