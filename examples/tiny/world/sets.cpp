// SPDX-License-Identifier: Apache-2.0
// What each file of the tiny world holds.
#include "examples/tiny/world/sets.h"

#include <algorithm>
#include <array>
#include <map>

#include "examples/tiny/world/writer.h"

namespace retain::tiny {
namespace {

constexpr double kGroupShare = 0.3;  ///< of the caption pictures that show one look in several cells
constexpr int kQuestionsPerPicture = 4;
constexpr double kCaptionShare = 0.5;  ///< of the conversations that end with a description

Conversation caption_conversation(Random& random) {
  if (chance(random, kGroupShare)) {
    const int count = pick(random, std::array<int, 3>{2, 4, 9});
    const Group group = random_group(random, count);
    Picture picture = draw(random, group);
    return {std::move(picture), {group_exchanges(group).back()}};
  }
  const int count = pick(random, std::array<int, 5>{1, 1, 2, 2, 3});
  const Scene scene = random_scene(random, count, Theme::any);
  Picture picture = draw(random, scene);
  return {std::move(picture), {describe(scene)}};
}

Theme random_theme(Random& random) {
  const double draw = random.uniform();
  return draw < 0.35 ? Theme::shapes : draw < 0.76 ? Theme::any : draw < 0.88 ? Theme::letters : Theme::arrows;
}

// Kinds that one picture allows are drawn in proportion to these.
double weight(std::string_view kind) {
  if (kind == "describe") return 3.0;
  if (kind == "find") return 1.5;
  return kind == "relation" || kind == "choice" ? 1.2 : 1.0;
}

std::vector<Exchange> ask_about(Random& random, const Scene& scene) {
  std::vector<Exchange> asked;
  for (int turn = 0; turn < kQuestionsPerPicture; ++turn) {
    std::vector<std::pair<double, Exchange>> possible;
    double total = 0;
    for (const QuestionKind& kind : question_kinds()) {
      std::optional<Exchange> exchange = kind.ask(random, scene);
      if (exchange) possible.emplace_back(total += weight(kind.name), std::move(*exchange));
    }
    const double at = random.uniform() * total;
    const auto chosen =
        std::find_if(possible.begin(), possible.end(), [&](const auto& entry) { return at < entry.first; });
    if (std::find(asked.begin(), asked.end(), chosen->second) == asked.end())
      asked.push_back(std::move(chosen->second));
  }
  return asked;
}

Conversation question_conversation(Random& random) {
  const int count = pick(random, std::array<int, 6>{1, 2, 2, 3, 3, 4});
  const Theme theme = random_theme(random);
  const Scene scene = random_scene(random, count, theme);
  Picture picture = draw(random, scene);
  std::vector<Exchange> exchanges = ask_about(random, scene);
  for (Exchange& exchange : exchanges) exchange.options.clear();
  if (chance(random, kCaptionShare)) exchanges.push_back(describe(scene));
  return {std::move(picture), std::move(exchanges)};
}

// What a benchmark's pictures must allow, so that its question cannot be answered without reading it.
bool fair(std::string_view kind, const Scene& scene) {
  const auto differ = [&](auto value) {
    return std::any_of(scene.objects.begin(), scene.objects.end(),
                       [&](const Object& o) { return value(o) != value(scene.objects[0]); });
  };
  if (kind == "size") return differ([](const Object& o) { return o.big; });
  if (kind == "direction") return differ([](const Object& o) { return o.value; });
  return true;
}

Theme benchmark_theme(Random& random, std::string_view kind) {
  static const std::map<std::string_view, Theme> themes{{"letter", Theme::letters},
                                                        {"direction", Theme::arrows},
                                                        {"shape", Theme::shapes},
                                                        {"color", Theme::shapes},
                                                        {"choice", Theme::shapes}};
  const auto found = themes.find(kind);
  return found == themes.end() ? random_theme(random) : found->second;
}

Conversation benchmark_item(Random& random, std::string_view kind) {
  for (;;) {
    const int count = 2 + static_cast<int>(random.below(3));
    const Theme theme = benchmark_theme(random, kind);
    const Scene scene = random_scene(random, count, theme);
    if (!fair(kind, scene)) continue;
    std::optional<Exchange> exchange = question_kind(kind).ask(random, scene);
    if (exchange) return {draw(random, scene), {std::move(*exchange)}};
  }
}

Conversation as_conversation(Example example) {
  return {std::move(example.picture), {std::move(example.exchange)}};
}

}  // namespace

std::vector<RecordSetPlan> pretraining_sets(const Sizes& sizes) {
  return {{"train/captions", sizes.captions, caption_conversation},
          {"train/questions", sizes.questions, question_conversation}};
}

std::vector<RecordSetPlan> skill_sets(const Sizes& sizes, const std::vector<Digit>& digits) {
  return {{"train/species", sizes.skill, [](Random& random) { return as_conversation(species_example(random)); }},
          {"train/count", sizes.skill, [](Random& random) { return as_conversation(count_example(random)); }},
          {"train/digits", sizes.skill,
           [&digits](Random& random) { return as_conversation(digit_example(random, digits, Split::train)); }}};
}

std::vector<RecordSetPlan> test_sets(const Sizes& sizes, const std::vector<Digit>& digits) {
  std::vector<RecordSetPlan> plans;
  for (const QuestionKind& kind : question_kinds()) {
    plans.push_back({"test/" + std::string(kind.name), sizes.test,
                     [&kind](Random& random) { return benchmark_item(random, kind.name); }});
  }
  plans.push_back({"test/captions", sizes.test, [](Random& random) {
                     const Scene scene = random_scene(random, 1 + static_cast<int>(random.below(4)), Theme::any);
                     return Conversation{draw(random, scene), {describe(scene)}};
                   }});
  plans.push_back(
      {"test/species", sizes.test, [](Random& random) { return as_conversation(species_example(random)); }});
  plans.push_back({"test/count", sizes.test, [](Random& random) { return as_conversation(count_example(random)); }});
  plans.push_back({"test/digits", sizes.test,
                   [&digits](Random& random) { return as_conversation(digit_example(random, digits, Split::test)); }});
  return plans;
}

void write_set(const std::filesystem::path& root, const RecordSetPlan& plan, std::uint64_t seed) {
  RecordWriter writer(root / (plan.name + ".jsonl"));
  for (std::int64_t i = 0; i < plan.count; ++i) {
    Random random(seed, plan.name + "/" + std::to_string(i));
    const Conversation conversation = plan.make(random);
    writer.add(conversation.picture, conversation.exchanges);
  }
  writer.finish();
}

TokenizerBuilder world_tokenizer(const std::vector<Digit>& digits) {
  constexpr std::int64_t kSamples = 2000;  // enough for every word in every position; seed and streams are fixed
  TokenizerBuilder builder;
  builder.add_text("system\nYou are a helpful assistant.\nuser\nassistant\n");
  Sizes sizes{kSamples, kSamples, kSamples, kSamples};
  for (const auto& plans : {pretraining_sets(sizes), skill_sets(sizes, digits), test_sets(sizes, digits)}) {
    for (const RecordSetPlan& plan : plans) {
      for (std::int64_t i = 0; i < plan.count; ++i) {
        Random random(0, "tokenizer/" + plan.name + "/" + std::to_string(i));
        for (const Exchange& exchange : plan.make(random).exchanges) {
          builder.add_text("\n" + exchange.question);
          builder.add_text(exchange.answer);
        }
      }
    }
  }
  for (const std::string_view number : kNumbers) builder.add_text(std::string(number) + " " + std::string(number));
  return builder;
}

}  // namespace retain::tiny
