// SPDX-License-Identifier: Apache-2.0
// What an object looks like: masks of shapes, arrows and letters inside one cell, by integer inequalities.
#pragma once
#include <array>
#include <string>
#include <string_view>

#include "examples/tiny/world/picture.h"

namespace retain::tiny {

inline constexpr std::array<std::string_view, 6> kShapes{"circle", "square", "triangle", "cross", "diamond", "ring"};
inline constexpr std::array<std::string_view, 4> kDirections{"up", "right", "down", "left"};
inline constexpr std::string_view kLetters = "ACEHKLTUXZ";

/// Shape `shape` (index into kShapes) of radius 6 (big) or 4 (small), its centre moved by (dx, dy) pixels.
Mask shape_mask(int shape, bool big, int dx, int dy);

/// An arrow that points in direction `direction` (index into kDirections).
Mask arrow_mask(int direction, bool big, int dx, int dy);

/// Letter `letter` (index into kLetters) of a 5×7 font, doubled when big.
Mask letter_mask(int letter, bool big, int dx, int dy);

}  // namespace retain::tiny
