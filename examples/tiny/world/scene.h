// SPDX-License-Identifier: Apache-2.0
// What is in a picture: objects in the cells of a grid, and how the tiny world's language names them.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "examples/tiny/world/glyphs.h"
#include "examples/tiny/world/picture.h"
#include "framework/base/random.h"

namespace retain::tiny {

using framework::Random;

inline constexpr std::array<std::string_view, 6> kColors{"red", "green", "blue", "yellow", "purple", "white"};
inline constexpr std::array<std::string_view, kCells> kPlaces{
    "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right"};

enum class Kind { shape, letter, arrow };
inline constexpr std::array<std::string_view, 3> kKinds{"shape", "letter", "arrow"};

/// One object. `value` indexes kShapes, kLetters or kDirections.
struct Object {
  int cell = 0;
  Kind kind = Kind::shape;
  int value = 0;
  int color = 0;
  bool big = false;

  std::string color_name() const { return std::string(kColors[static_cast<std::size_t>(color)]); }
  std::string place() const { return std::string(kPlaces[static_cast<std::size_t>(cell)]); }
  std::string size_name() const { return big ? "big" : "small"; }
  std::string kind_name() const { return std::string(kKinds[static_cast<std::size_t>(kind)]); }
  /// "circle", "letter A", "arrow".
  std::string name() const;
  /// "red circle".
  std::string full_name() const { return color_name() + " " + name(); }
  /// "a big red circle", "a small blue arrow pointing up".
  std::string description() const;
  /// "circle", "A" or "up": the value alone.
  std::string value_name() const;
};

struct Scene {
  std::vector<Object> objects;  ///< by cell
};

/// How the objects of a scene are chosen.
enum class Theme { any, shapes, letters, arrows };

/// One of the items at random.
template <class Container>
const auto& pick(Random& random, const Container& items) {
  return items[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(items.size())))];
}

/// `count` different numbers out of 0 … n-1, in random order.
std::vector<int> sample(Random& random, int n, int count);

/// True with probability `p`.
bool chance(Random& random, double p);

/// A scene of `count` objects in different cells; colours differ, and names too, except that all arrows are "arrow".
Scene random_scene(Random& random, int count, Theme theme);

/// A colour with every channel moved by up to `amount`.
Color jitter(Random& random, Color color, int amount);

/// Nearly black paper.
Picture empty_picture(Random& random);

/// The ink of a colour (index into kColors), in a random shade.
Color ink(Random& random, int color);

/// Paints an object with random place within its cell and random shade.
void paint(Random& random, Picture& picture, const Object& object);

/// The whole scene as a picture.
Picture draw(Random& random, const Scene& scene);

}  // namespace retain::tiny
