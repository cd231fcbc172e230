// SPDX-License-Identifier: Apache-2.0
// The 1,797 handwritten digits of scikit-learn's load_digits, read from examples/tiny/digits.txt.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace retain::tiny {

/// An 8×8 image with values 0 (paper) … 16 (ink), and what it shows.
struct Digit {
  int label = 0;
  std::array<std::uint8_t, 64> ink{};
};

/// The first 1,347 images are for training; the rest, mostly by other writers, for testing.
inline constexpr std::int64_t kTrainingDigits = 1347;

/// Reads one digit per line: its label and 64 letters, a = 0 … q = 16. Throws Error(io) or Error(data_invalid).
std::vector<Digit> read_digits(const std::filesystem::path& file);

}  // namespace retain::tiny
