// SPDX-License-Identifier: Apache-2.0
// What can be asked about a scene, one function per kind of question, and the captions.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "examples/tiny/world/scene.h"

namespace retain::tiny {

/// A question and its one right answer.
struct Exchange {
  std::string question;
  std::string answer;

  bool operator==(const Exchange& other) const { return question == other.question; }
};

/// A kind of question: its name, and a function that asks it, or nothing when the scene does not allow it.
struct QuestionKind {
  std::string_view name;
  std::optional<Exchange> (*ask)(Random&, const Scene&);
};

/// shape, letter, direction, size, kind, describe, verify, exist; objects are asked for by colour.
const std::vector<QuestionKind>& question_kinds();

/// The kind called `name`. Throws Error(internal) when there is none.
const QuestionKind& question_kind(std::string_view name);

/// "Describe the image." with every object in reading order.
Exchange describe(const Scene& scene);

/// "List the objects." in random order, each by its colour first and with its place: what follows must match what was
/// said.
Exchange list(Random& random, const Scene& scene);

/// Several objects of one look ("big red circles"), or one: the easiest pictures.
struct Group {
  Object look;  ///< its cell is not used
  std::vector<int> cells;
};

Group random_group(Random& random, int count);
Picture draw(Random& random, const Group& group);
/// Every question about a group ("What color are they?"), then its caption.
std::vector<Exchange> group_exchanges(const Group& group);

/// The plural of a shape's name.
std::string plural(std::string_view noun);

}  // namespace retain::tiny
