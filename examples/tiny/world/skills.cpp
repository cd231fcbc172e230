// SPDX-License-Identifier: Apache-2.0
// Examples of the new skills.
#include "examples/tiny/world/skills.h"

#include <cstdlib>

namespace retain::tiny {
namespace {

constexpr int kSpeciesColors = 4;
constexpr int kMostCounted = 4;
constexpr int kDigitSide = 8;
constexpr int kWordLetters = 2;
constexpr int kRed = 0;
constexpr int kWhite = 5;

// The directions of the twelve hours, clockwise from the top, in 1/1000 (x to the right, y down): whole numbers, so that every
// machine paints the same pixels.
constexpr int kUnit = 1000;
constexpr std::array<std::array<int, 2>, 12> kHours{{{0, -1000},
                                                     {500, -866},
                                                     {866, -500},
                                                     {1000, 0},
                                                     {866, 500},
                                                     {500, 866},
                                                     {0, 1000},
                                                     {-500, 866},
                                                     {-866, 500},
                                                     {-1000, 0},
                                                     {-866, -500},
                                                     {-500, -866}}};

struct Hand {
  int hour = 0;        ///< where it points, index into kHours
  int length = 0;      ///< pixels
  int half_width = 0;  ///< 1/1000 pixels
};

void paint_hand(Picture& picture, const Hand& hand, int dx, int dy, Color color) {
  const auto& [east, south] = kHours[static_cast<std::size_t>(hand.hour)];
  for (int row = 0; row < kPictureSide; ++row) {
    for (int column = 0; column < kPictureSide; ++column) {
      const int x = column - kPictureSide / 2 - dx;
      const int y = row - kPictureSide / 2 - dy;
      const int along = x * east + y * south;
      const int across = std::abs(x * south - y * east);
      if (along < 0 || along > hand.length * kUnit || across > hand.half_width) continue;
      const int cell = row / kCellSide * kGrid + column / kCellSide;
      picture.blend(cell, row % kCellSide, column % kCellSide, color, 1.0);
    }
  }
}

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

Example word_example(Random& random) {
  constexpr int kFirstOfRow = kCells / 2 - 1;
  std::string word;
  Scene scene;
  const int start = below(random, kGrid - kWordLetters + 1);
  const int color = below(random, static_cast<std::int64_t>(kColors.size()));
  const bool big = chance(random, 0.5);
  for (int i = 0; i < kWordLetters; ++i) {
    const int letter = below(random, static_cast<std::int64_t>(kLetters.size()));
    word += kLetters[static_cast<std::size_t>(letter)];
    scene.objects.push_back({kFirstOfRow + start + i, Kind::letter, letter, color, big});
  }
  return {draw(random, scene), {"What word is written?", word}};
}

Example clock_example(Random& random) {
  const int hour = below(random, static_cast<std::int64_t>(kHours.size()));
  const int quarter = below(random, 4);
  const int dx = below(random, 3) - 1;
  const int dy = below(random, 3) - 1;
  Picture picture = empty_picture(random);
  paint_hand(picture, {quarter * 3, 22, 1000}, dx, dy, ink(random, kWhite));
  paint_hand(picture, {hour, 15, 2000}, dx, dy, ink(random, kRed));
  const std::string minutes = quarter == 0 ? "00" : std::to_string(quarter * 15);
  return {std::move(picture), {"What time is it?", std::to_string(hour == 0 ? 12 : hour) + ":" + minutes}};
}

}  // namespace retain::tiny
