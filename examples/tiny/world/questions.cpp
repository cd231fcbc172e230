// SPDX-License-Identifier: Apache-2.0
// The questions of the tiny world.
#include "examples/tiny/world/questions.h"

#include <algorithm>

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

bool unique_name(const Scene& scene, const Object& object) {
  return std::count_if(scene.objects.begin(), scene.objects.end(),
                       [&](const Object& o) { return o.name() == object.name(); }) == 1;
}

// "circle" or "red circle"; always with the colour when the name alone is not enough.
std::string refer(Random& random, const Scene& scene, const Object& object) {
  const bool with_color = chance(random, 0.5);
  return with_color || !unique_name(scene, object) ? object.full_name() : object.name();
}

Answer ask_color(Random& random, const Scene& scene) {
  const std::vector<Object> candidates = scene.uniquely_named();
  if (candidates.empty()) return std::nullopt;
  const Object& object = pick(random, candidates);
  return Exchange{"What color is the " + object.name() + "?", object.color_name()};
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

Answer ask_where(Random& random, const Scene& scene) {
  const Object& object = pick(random, scene.objects);
  return Exchange{"Where is the " + refer(random, scene, object) + "?", object.place()};
}

Answer ask_find(Random& random, const Scene& scene) {
  const Object& object = pick(random, scene.objects);
  return Exchange{"What is at the " + object.place() + "?", object.description()};
}

/// A sentence about an object that first says which one is meant, by name or by colour.
struct Statement {
  std::string subject;   // "circle", "red one"
  std::string sentence;  // "the circle is big and red at the top left"
};

Statement state(Random& random, const Scene& scene, const Object& object) {
  const std::string pointing = object.kind == Kind::arrow ? " pointing " + object.value_name() : "";
  const std::string rest = pointing + " at the " + object.place();
  if (chance(random, 0.5) && unique_name(scene, object)) {
    const std::string looks = object.size_name() + " and " + object.color_name();
    return {object.name(), "the " + object.name() + " is " + looks + rest};
  }
  const std::string subject = object.color_name() + " one";
  return {subject, "the " + subject + " is a " + object.size_name() + " " + object.name() + rest};
}

Answer ask_describe(Random& random, const Scene& scene) {
  const Object& object = pick(random, scene.objects);
  Statement statement = state(random, scene, object);
  return Exchange{"Describe the " + statement.subject + ".", std::move(statement.sentence)};
}

Answer ask_size(Random& random, const Scene& scene) {
  const Object& object = pick(random, scene.objects);
  return Exchange{"Is the " + refer(random, scene, object) + " big or small?", object.size_name()};
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

Answer ask_relation(Random& random, const Scene& scene) {
  if (scene.objects.size() < 2) return std::nullopt;
  const std::vector<int> two = sample(random, static_cast<int>(scene.objects.size()), 2);
  const Object& a = scene.objects[static_cast<std::size_t>(two[0])];
  const Object& b = scene.objects[static_cast<std::size_t>(two[1])];
  const int down = b.cell / kGrid - a.cell / kGrid, across = b.cell % kGrid - a.cell % kGrid;
  std::vector<std::string> relations;  // true one, then its opposite
  if (down != 0)
    relations = down > 0 ? std::vector<std::string>{"above", "below"} : std::vector<std::string>{"below", "above"};
  if (down == 0 || (across != 0 && chance(random, 0.5))) {
    relations =
        across > 0 ? std::vector<std::string>{"left of", "right of"} : std::vector<std::string>{"right of", "left of"};
  }
  const bool yes = chance(random, 0.5);
  const std::string first = refer(random, scene, a);
  return Exchange{"Is the " + first + " " + relations[yes ? 0 : 1] + " the " + refer(random, scene, b) + "?",
                  yes ? "yes" : "no"};
}

// Wrong options are first of all the colours of the other objects.
Answer ask_choice(Random& random, const Scene& scene) {
  const std::vector<Object> candidates = scene.uniquely_named();
  if (candidates.empty()) return std::nullopt;
  const Object& object = pick(random, candidates);
  std::vector<std::string> options{object.color_name()};
  for (const Object& other : scene.objects) {
    if (other.color != object.color) options.push_back(other.color_name());
  }
  for (const int color : sample(random, static_cast<int>(kColors.size()), static_cast<int>(kColors.size()))) {
    const std::string name(kColors[static_cast<std::size_t>(color)]);
    if (std::find(options.begin(), options.end(), name) == options.end()) options.push_back(name);
  }
  options.resize(4);
  Exchange exchange{"What color is the " + object.name() + "?", "", {}};
  for (const int at : sample(random, 4, 4)) {
    const char letter = static_cast<char>('A' + static_cast<int>(exchange.options.size()));
    if (at == 0) exchange.answer = std::string(1, letter);
    exchange.options.push_back(options[static_cast<std::size_t>(at)]);
    exchange.question += std::string("\n") + letter + ". " + exchange.options.back();
  }
  exchange.question += "\nAnswer with the letter.";
  return exchange;
}

}  // namespace

const std::vector<QuestionKind>& question_kinds() {
  static const std::vector<QuestionKind> kinds{
      {"color", ask_color},         {"shape", ask_shape},       {"where", ask_where},  {"find", ask_find},
      {"describe", ask_describe},   {"size", ask_size},         {"exist", ask_exist},  {"letter", ask_letter},
      {"direction", ask_direction}, {"relation", ask_relation}, {"choice", ask_choice}};
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
    text += (text.empty() ? "" : ", ") + state(random, scene, object).sentence;
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
