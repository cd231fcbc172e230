// SPDX-License-Identifier: Apache-2.0
// Examples of the new skills.
#include "examples/tiny/world/skills.h"

#include <algorithm>

namespace retain::tiny {
namespace {

constexpr int kSpeciesColors = 4;
constexpr int kMostCounted = 4;
constexpr int kDigitSide = 8;

int below(Random& random, std::int64_t n) {
  return static_cast<int>(random.below(n));
}

}  // namespace

Example species_example(Random& random) {
  const int species = below(random, static_cast<std::int64_t>(kSpecies.size()));
  Scene scene;
  const int cell = below(random, kCells);
  scene.objects.push_back({cell, Kind::shape, species / kSpeciesColors, species % kSpeciesColors, chance(random, 0.5)});
  return {draw(random, scene), {"Which species is this?", std::string(kSpecies[static_cast<std::size_t>(species)])}};
}

Example count_example(Random& random) {
  const int number = 1 + below(random, kMostCounted);
  Object counted{0, Kind::shape, below(random, static_cast<std::int64_t>(kShapes.size())),
                 below(random, static_cast<std::int64_t>(kColors.size())), false};
  Scene scene;
  for (const int cell : sample(random, kCells, number)) {
    counted.cell = cell;
    counted.big = chance(random, 0.5);
    scene.objects.push_back(counted);
  }
  const std::string question = "How many " + counted.color_name() + " " + plural(counted.value_name()) + " are there?";
  return {draw(random, scene), {question, std::string(kNumbers[static_cast<std::size_t>(number)])}};
}

Example digit_example(Random& random, const std::vector<Digit>& digits, Split split) {
  const auto rest = static_cast<std::int64_t>(digits.size()) - kTrainingDigits;
  const std::int64_t index =
      split == Split::train ? random.below(kTrainingDigits) : kTrainingDigits + random.below(rest);
  const Digit& digit = digits[static_cast<std::size_t>(index)];
  const int cell = below(random, kCells);
  Picture picture = empty_picture(random);
  const Color color = ink(random, below(random, static_cast<std::int64_t>(kColors.size())));
  for (int row = 0; row < kCellSide; ++row) {
    for (int column = 0; column < kCellSide; ++column) {
      const int at = row * kDigitSide / kCellSide * kDigitSide + column * kDigitSide / kCellSide;
      picture.blend(cell, row, column, color, digit.ink[static_cast<std::size_t>(at)] / 16.0);
    }
  }
  return {std::move(picture), {"What digit is written?", std::to_string(digit.label)}};
}

}  // namespace retain::tiny
