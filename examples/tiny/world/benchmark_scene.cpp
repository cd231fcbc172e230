// SPDX-License-Identifier: Apache-2.0
// Choosing benchmark scenes.
#include "examples/tiny/world/benchmark_scene.h"

#include <algorithm>
#include <map>

namespace retain::tiny {
namespace {

constexpr int kAskedAgain = 400;

// What a benchmark's pictures must allow, so that its question cannot be answered without reading it.
bool fair(std::string_view kind, const Scene& scene) {
  const auto differ = [&](auto value) {
    return std::any_of(scene.objects.begin(), scene.objects.end(),
                       [&](const Object& o) { return value(o) != value(scene.objects[0]); });
  };
  if (kind == "size") return differ([](const Object& o) { return o.big; });
  if (kind == "direction") return differ([](const Object& o) { return o.value; });
  if (kind == "kind") return differ([](const Object& o) { return o.kind; });
  return true;
}

Theme benchmark_theme(Random& random, std::string_view kind) {
  static const std::map<std::string_view, Theme> themes{
      {"letter", Theme::letters}, {"direction", Theme::arrows}, {"shape", Theme::shapes}};
  const auto found = themes.find(kind);
  return found == themes.end() ? random_theme(random) : found->second;
}

}  // namespace

Theme random_theme(Random& random) {
  const double draw = random.uniform();
  return draw < 0.25 ? Theme::shapes : draw < 0.8 ? Theme::any : draw < 0.9 ? Theme::letters : Theme::arrows;
}

Scene benchmark_scene(Random& random, const QuestionKind& kind) {
  for (;;) {
    const int count = 2 + static_cast<int>(random.below(3));
    const Theme theme = benchmark_theme(random, kind.name);
    Scene scene = random_scene(random, count, theme);
    Random trial = random;  // whether the question can be asked, without using up the stream
    if (fair(kind.name, scene) && kind.ask(trial, scene)) return scene;
  }
}

double question_blind_score(Random& random, const QuestionKind& kind, const Scene& scene) {
  std::map<std::string, int> answers;
  for (int i = 0; i < kAskedAgain; ++i) {
    if (const std::optional<Exchange> exchange = kind.ask(random, scene)) ++answers[exchange->answer];
  }
  int most = 0, all = 0;
  for (const auto& [answer, count] : answers) {
    most = std::max(most, count);
    all += count;
  }
  return all == 0 ? 0.0 : static_cast<double>(most) / all;
}

}  // namespace retain::tiny
