// SPDX-License-Identifier: Apache-2.0
// The questions of the tiny world.
#include "examples/tiny/world/questions.h"

#include <algorithm>
#include <iterator>

#include "framework/base/error.h"

namespace retain::tiny {
namespace {

using Answer = std::optional<Exchange>;

const Object* pick_kind(Random& random, const Scene& scene, Kind kind, std::vector<Object>& kept) {
  kept.clear();
  std::copy_if(scene.objects.begin(), scene.objects.end(), std::back_inserter(kept),
               [&](const Object& o) { return o.kind == kind; });
  return kept.empty() ? nullptr : &pick(random, kept);
}

// No other object of a picture has the same colour.
std::string refer(const Object& object) {
  return object.color_name() + " one";
}

Answer ask_shape(Random& random, const Scene& scene) {
  std::vector<Object> kept;
  const Object* object = pick_kind(random, scene, Kind::shape, kept);
  if (object == nullptr) return std::nullopt;
  return Exchange{"What shape is " + object->color_name() + "?", object->value_name()};
}

Answer ask_letter(Random& random, const Scene& scene) {
  std::vector<Object> kept;
  const Object* object = pick_kind(random, scene, Kind::letter, kept);
  if (object == nullptr) return std::nullopt;
  return Exchange{"Which letter is " + object->color_name() + "?", object->value_name()};
}

Answer ask_direction(Random& random, const Scene& scene) {
  std::vector<Object> kept;
  const Object* object = pick_kind(random, scene, Kind::arrow, kept);
  if (object == nullptr) return std::nullopt;
  return Exchange{"Where does the " + object->full_name() + " point?", object->value_name()};
}

// "the red one is a big circle"
std::string state(const Object& object) {
  const std::string pointing = object.kind == Kind::arrow ? " pointing " + object.value_name() : "";
  return "the " + refer(object) + " is a " + object.size_name() + " " + object.name() + pointing;
}

Answer ask_describe(Random& random, const Scene& scene) {
  const Object& object = pick(random, scene.objects);
  return Exchange{"Describe the " + refer(object) + ".", state(object)};
}

Answer ask_size(Random& random, const Scene& scene) {
  const Object& object = pick(random, scene.objects);
  return Exchange{"Is the " + refer(object) + " big or small?", object.size_name()};
}

// A wrong pair joins one object's name with another's colour where it can, so that seeing both apart is not enough.
Answer ask_exist(Random& random, const Scene& scene) {
  const Object& object = pick(random, scene.objects);
  if (chance(random, 0.5)) return Exchange{"Is there a " + object.full_name() + "?", "yes"};
  for (int attempt = 0; attempt < 20; ++attempt) {
    const std::string color =
        chance(random, 0.7) ? pick(random, scene.objects).color_name() : std::string(pick(random, kColors));
    const std::string named = color + " " + object.name();
    const bool present = std::any_of(scene.objects.begin(), scene.objects.end(),
                                     [&](const Object& o) { return o.full_name() == named; });
    if (!present) return Exchange{"Is there a " + named + "?", "no"};
  }
  return std::nullopt;
}

Answer ask_kind(Random& random, const Scene& scene) {
  const Object& object = pick(random, scene.objects);
  return Exchange{"Is the " + refer(object) + " a shape, a letter or an arrow?", object.kind_name()};
}

std::string article(const Object& object) {
  return object.kind == Kind::arrow ? "an" : "a";
}

// The look asked about is some object's; the colour is then of an object that has it or, as often, of one that has not.
Answer ask_verify(Random& random, const Scene& scene) {
  const bool of_size = chance(random, 0.5);
  const auto look = [&](const Object& o) { return of_size ? o.size_name() : article(o) + " " + o.name(); };
  const std::string asked = look(pick(random, scene.objects));
  std::vector<Object> with, without;
  std::partition_copy(scene.objects.begin(), scene.objects.end(), std::back_inserter(with), std::back_inserter(without),
                      [&](const Object& o) { return look(o) == asked; });
  if (without.empty()) return std::nullopt;
  const bool yes = chance(random, 0.5);
  return Exchange{"Is the " + refer(pick(random, yes ? with : without)) + " " + asked + "?", yes ? "yes" : "no"};
}

}  // namespace

const std::vector<QuestionKind>& question_kinds() {
  static const std::vector<QuestionKind> kinds{
      {"shape", ask_shape}, {"letter", ask_letter},     {"direction", ask_direction}, {"size", ask_size},
      {"kind", ask_kind},   {"describe", ask_describe}, {"verify", ask_verify},       {"exist", ask_exist}};
  return kinds;
}

const QuestionKind& question_kind(std::string_view name) {
  for (const QuestionKind& kind : question_kinds()) {
    if (kind.name == name) return kind;
  }
  throw framework::Error(framework::ErrorKind::internal, "no kind of question is called " + std::string(name));
}

Exchange describe(const Scene& scene) {
  std::string text;
  for (const Object& object : scene.objects) {
    text += (text.empty() ? "at the " : ", at the ") + object.place() + " " + object.description();
  }
  return {"Describe the image.", text + "."};
}

Exchange list(Random& random, const Scene& scene) {
  std::string text;
  for (const int at : sample(random, static_cast<int>(scene.objects.size()), static_cast<int>(scene.objects.size()))) {
    const Object& object = scene.objects[static_cast<std::size_t>(at)];
    text += (text.empty() ? "" : ", ") + state(object) + " at the " + object.place();
  }
  return {"List the objects.", text + "."};
}

std::string plural(std::string_view noun) {
  return std::string(noun) + (noun == "cross" ? "es" : "s");
}

Group random_group(Random& random, int count) {
  const Scene one = random_scene(random, 1, Theme::any);
  return {one.objects.front(), sample(random, kCells, count)};
}

Picture draw(Random& random, const Group& group) {
  Picture picture = empty_picture(random);
  Object object = group.look;
  for (const int cell : group.cells) {
    object.cell = cell;
    paint(random, picture, object);
  }
  return picture;
}

std::vector<Exchange> group_exchanges(const Group& group) {
  const Object& look = group.look;
  const std::string adjectives = look.size_name() + " " + look.color_name() + " ";
  std::vector<Exchange> all{{"What color are they?", look.color_name()}, {"Are they big or small?", look.size_name()}};
  std::string nouns;
  if (look.kind == Kind::shape) {
    all.push_back({"What shape are they?", look.value_name()});
    nouns = plural(look.value_name());
  } else if (look.kind == Kind::letter) {
    all.push_back({"Which letter is it?", look.value_name()});
    nouns = "letters " + look.value_name();
  } else {
    all.push_back({"Where do they point?", look.value_name()});
    nouns = "arrows pointing " + look.value_name();
  }
  all.push_back({"Describe the image.", adjectives + nouns + "."});
  return all;
}

}  // namespace retain::tiny
