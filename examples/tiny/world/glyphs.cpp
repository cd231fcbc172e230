// SPDX-License-Identifier: Apache-2.0
// Masks of shapes, arrows and letters.
#include "examples/tiny/world/glyphs.h"

#include <cstdlib>

namespace retain::tiny {
namespace {

// 5×7 bitmaps, one row per element, most significant of five bits on the left.
constexpr std::array<std::array<std::uint8_t, 7>, 10> kFont{{
    {14, 17, 17, 31, 17, 17, 17},  // A
    {15, 16, 16, 16, 16, 16, 15},  // C
    {31, 16, 16, 30, 16, 16, 31},  // E
    {17, 17, 17, 31, 17, 17, 17},  // H
    {17, 18, 20, 24, 20, 18, 17},  // K
    {16, 16, 16, 16, 16, 16, 31},  // L
    {31, 4, 4, 4, 4, 4, 4},        // T
    {17, 17, 17, 17, 17, 17, 14},  // U
    {17, 17, 10, 4, 10, 17, 17},   // X
    {31, 1, 2, 4, 8, 16, 31},      // Z
}};

bool covers(int shape, int x, int y, int r) {
  const int square = x * x + y * y;
  switch (shape) {
    case 0:
      return square <= r * (r + 1);
    case 1:
      return std::abs(x) <= r * 7 / 8 && std::abs(y) <= r * 7 / 8;
    case 2:
      return 2 * std::abs(x) <= y + r && y <= r * 3 / 4 && y >= -r;
    case 3: {
      const int arm = r / 3;
      return (std::abs(x) <= arm && std::abs(y) <= r) || (std::abs(y) <= arm && std::abs(x) <= r);
    }
    case 4:
      return std::abs(x) + std::abs(y) <= r;
    default: {
      const int inner = r - (r > 4 ? 2 : 1);
      return square <= r * (r + 1) && square > inner * (inner + 1);
    }
  }
}

// The arrow that points up, as rows and columns relative to the centre: a shaft two pixels wide and a head.
bool arrow_up(int x, int y, bool big) {
  const int length = big ? 6 : 4;
  const int head = big ? 6 : 4;
  if (y < -length || y > length) return false;
  const int step = y + length;
  if (step < head) return x >= -step && x <= step + 1;
  return x == 0 || x == 1;
}

void cover(Mask& mask, int row, int column) {
  if (row < 0 || column < 0 || row >= kCellSide || column >= kCellSide) return;
  mask[static_cast<std::size_t>(row * kCellSide + column)] = true;
}

}  // namespace

Mask shape_mask(int shape, bool big, int dx, int dy) {
  const int r = big ? 6 : 4;
  Mask mask{};
  for (int y = -r; y <= r; ++y) {
    for (int x = -r; x <= r; ++x) {
      if (covers(shape, x, y, r)) cover(mask, kCellSide / 2 + y + dy, kCellSide / 2 + x + dx);
    }
  }
  return mask;
}

Mask arrow_mask(int direction, bool big, int dx, int dy) {
  Mask mask{};
  for (int y = -7; y <= 7; ++y) {
    for (int x = -7; x <= 7; ++x) {
      if (!arrow_up(x, y, big)) continue;
      const std::array<std::array<int, 2>, 4> turned{{{x, y}, {-y, x}, {-x, -y}, {y, -x}}};
      const auto& [column, row] = turned[static_cast<std::size_t>(direction)];
      cover(mask, kCellSide / 2 + row + dy, kCellSide / 2 + column + dx);
    }
  }
  return mask;
}

Mask letter_mask(int letter, bool big, int dx, int dy) {
  const int scale = big ? 2 : 1;
  const int top = (kCellSide - 7 * scale) / 2 + dy;
  const int left = (kCellSide - 5 * scale) / 2 + dx;
  Mask mask{};
  for (int row = 0; row < 7 * scale; ++row) {
    for (int column = 0; column < 5 * scale; ++column) {
      const int bits = kFont[static_cast<std::size_t>(letter)][static_cast<std::size_t>(row / scale)];
      if ((bits >> (4 - column / scale)) & 1) cover(mask, top + row, left + column);
    }
  }
  return mask;
}

}  // namespace retain::tiny
