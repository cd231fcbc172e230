// SPDX-License-Identifier: Apache-2.0
// Choosing and drawing scenes.
#include "examples/tiny/world/scene.h"

#include <algorithm>

namespace retain::tiny {
namespace {

// Corners of the colour cube on black paper: far apart, and an outline is always brighter than what is around it.
constexpr std::array<Color, 6> kInks{
    {{240, 30, 30}, {30, 220, 40}, {50, 60, 255}, {250, 230, 30}, {220, 40, 230}, {240, 240, 240}}};
constexpr int kRoom = 1;  ///< pixels by which an object may be off its cell's centre
constexpr Color kPaper{8, 8, 8};

int below(Random& random, std::size_t n) {
  return static_cast<int>(random.below(static_cast<std::int64_t>(n)));
}

int between(Random& random, int least, int most) {
  return least + below(random, static_cast<std::size_t>(most - least + 1));
}

Kind random_kind(Random& random, Theme theme) {
  if (theme == Theme::shapes) return Kind::shape;
  if (theme == Theme::letters) return Kind::letter;
  if (theme == Theme::arrows) return Kind::arrow;
  const std::array<Kind, 3> kinds{Kind::shape, Kind::letter, Kind::arrow};
  return pick(random, kinds);
}

Mask random_mask(Random& random, const Object& object) {
  const int dx = between(random, -kRoom, kRoom);
  const int dy = between(random, -kRoom, kRoom);
  switch (object.kind) {
    case Kind::shape:
      return shape_mask(object.value, object.big, dx, dy);
    case Kind::letter:
      return letter_mask(object.value, object.big, dx, dy);
    default:
      return arrow_mask(object.value, object.big, dx, dy);
  }
}

}  // namespace

std::string Object::value_name() const {
  const auto i = static_cast<std::size_t>(value);
  if (kind == Kind::shape) return std::string(kShapes[i]);
  if (kind == Kind::letter) return std::string(1, kLetters[i]);
  return std::string(kDirections[i]);
}

std::string Object::name() const {
  if (kind == Kind::arrow) return "arrow";
  return kind == Kind::letter ? "letter " + value_name() : value_name();
}

std::string Object::description() const {
  const std::string looks = "a " + size_name() + " " + full_name();
  return kind == Kind::arrow ? looks + " pointing " + value_name() : looks;
}

std::vector<int> sample(Random& random, int n, int count) {
  const std::vector<std::int64_t> order = random.permutation(n);
  std::vector<int> chosen;
  for (int i = 0; i < count; ++i) chosen.push_back(static_cast<int>(order[static_cast<std::size_t>(i)]));
  return chosen;
}

bool chance(Random& random, double p) {
  return random.uniform() < p;
}

Scene random_scene(Random& random, int count, Theme theme) {
  Scene scene;
  std::vector<int> cells = sample(random, kCells, count);
  std::sort(cells.begin(), cells.end());
  const std::vector<int> colors = sample(random, static_cast<int>(kColors.size()), count);
  const std::vector<int> shapes = sample(random, static_cast<int>(kShapes.size()), count);
  const std::vector<int> letters = sample(random, static_cast<int>(kLetters.size()), count);
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    Object object{cells[at], random_kind(random, theme), 0, colors[at], chance(random, 0.5)};
    object.value = object.kind == Kind::shape    ? shapes[at]
                   : object.kind == Kind::letter ? letters[at]
                                                 : below(random, kDirections.size());
    scene.objects.push_back(object);
  }
  return scene;
}

Color jitter(Random& random, Color color, int amount) {
  for (std::uint8_t& channel : color)
    channel = static_cast<std::uint8_t>(std::clamp(channel + between(random, -amount, amount), 0, 255));
  return color;
}

Picture empty_picture(Random& random) {
  return Picture(jitter(random, kPaper, 8));
}

Color ink(Random& random, int color) {
  return jitter(random, kInks[static_cast<std::size_t>(color)], 12);
}

void paint(Random& random, Picture& picture, const Object& object) {
  const Mask mask = random_mask(random, object);
  picture.paint(object.cell, mask, ink(random, object.color));
}

Picture draw(Random& random, const Scene& scene) {
  Picture picture = empty_picture(random);
  for (const Object& object : scene.objects) paint(random, picture, object);
  return picture;
}

}  // namespace retain::tiny
