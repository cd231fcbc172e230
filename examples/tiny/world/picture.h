// SPDX-License-Identifier: Apache-2.0
// A small RGB picture made of a grid of square cells.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace retain::tiny {

inline constexpr int kCellSide = 16;  ///< pixels; one vision patch
inline constexpr int kGrid = 3;       ///< cells per row and column
inline constexpr int kCells = kGrid * kGrid;
inline constexpr int kPictureSide = kCellSide * kGrid;  ///< 48 pixels

using Color = std::array<std::uint8_t, 3>;

/// Which pixels of one cell an object covers, row by row.
using Mask = std::array<bool, kCellSide * kCellSide>;

class Picture {
 public:
  explicit Picture(Color background);

  /// Paints the covered pixels of cell `cell` (0 … 8, row by row).
  void paint(int cell, const Mask& mask, Color color);
  /// Moves one pixel of a cell toward a colour: by 0 not at all, by 1 all the way.
  void blend(int cell, int row, int column, Color color, double amount);
  /// Writes an 8-bit RGB PNG. Throws Error(io) when it cannot be written.
  void write_png(const std::filesystem::path& file) const;

 private:
  std::vector<std::uint8_t> pixels_;  // [48, 48, 3]
};

}  // namespace retain::tiny
