// SPDX-License-Identifier: Apache-2.0
// Reading the digits.
#include "examples/tiny/world/digits.h"

#include <sstream>
#include <string>

#include "framework/base/error.h"
#include "framework/base/json.h"

namespace retain::tiny {
namespace {

bool well_formed(const std::string& line) {
  if (line.size() != 65 || line[0] < '0' || line[0] > '9') return false;
  return line.find_first_not_of("abcdefghijklmnopq", 1) == std::string::npos;
}

}  // namespace

std::vector<Digit> read_digits(const std::filesystem::path& file) {
  std::istringstream lines(framework::read_file(file));
  std::vector<Digit> digits;
  for (std::string line; std::getline(lines, line);) {
    if (!well_formed(line)) {
      throw framework::Error(framework::ErrorKind::data_invalid,
                             {file.string() + ", line " + std::to_string(digits.size() + 1) + " is no digit",
                              "a label 0 to 9 and 64 letters a to q", std::to_string(line.size()) + " characters",
                              "restore the file from the repository"});
    }
    Digit digit{line[0] - '0', {}};
    for (std::size_t i = 0; i < 64; ++i) digit.ink[i] = static_cast<std::uint8_t>(line[i + 1] - 'a');
    digits.push_back(digit);
  }
  if (static_cast<std::int64_t>(digits.size()) <= kTrainingDigits) {
    throw framework::Error(framework::ErrorKind::data_invalid,
                           {file.string() + " is too short", "1797 digits", std::to_string(digits.size()),
                            "restore the file from the repository"});
  }
  return digits;
}

}  // namespace retain::tiny
