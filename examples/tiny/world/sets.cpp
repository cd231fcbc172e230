// SPDX-License-Identifier: Apache-2.0
// What each file of the tiny world holds.
#include "examples/tiny/world/sets.h"

#include <algorithm>
#include <array>

#include "examples/tiny/world/benchmark_scene.h"
#include "examples/tiny/world/writer.h"

namespace retain::tiny {
namespace {

constexpr double kLookShare = 0.54;  ///< of the first stage: pictures of one look in most cells
constexpr int kQuestionsPerPicture = 6;
constexpr double kCaptionShare = 0.1;  ///< of the conversations that end with a description
constexpr double kListShare = 0.25;    ///< of those that end with a list
constexpr double kDescribed = 0.1;     ///< of the list pictures that are described in reading order instead

Scene training_scene(Random& random) {
  const int count = pick(random, std::array<int, 6>{1, 2, 2, 3, 3, 4});
  return random_scene(random, count, random_theme(random));
}

// Wherever such a picture is looked at, it shows the same: what an object looks like can be learned without knowing
// where to look.
Conversation look_conversation(Random& random) {
  const int count = pick(random, std::array<int, 3>{4, 9, 9});
  const Group group = random_group(random, count);
  Picture picture = draw(random, group);
  return {std::move(picture), {group_exchanges(group).back()}};
}

// Kinds that one picture allows are drawn in proportion to these.
double weight(std::string_view kind) {
  return kind == "exist" ? 2.0 : kind == "verify" ? 1.5 : 1.0;
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

Conversation list_conversation(Random& random) {
  const Scene scene = training_scene(random);
  Picture picture = draw(random, scene);
  std::vector<Exchange> exchanges{chance(random, kDescribed) ? describe(scene) : list(random, scene)};
  return {std::move(picture), std::move(exchanges)};
}

Conversation question_conversation(Random& random) {
  const Scene scene = training_scene(random);
  Picture picture = draw(random, scene);
  std::vector<Exchange> exchanges = ask_about(random, scene);
  const double ending = random.uniform();
  if (ending < kCaptionShare) {
    exchanges.push_back(describe(scene));
  } else if (ending < kCaptionShare + kListShare) {
    exchanges.push_back(list(random, scene));
  }
  return {std::move(picture), std::move(exchanges)};
}

Conversation sight_conversation(Random& random) {
  return chance(random, kLookShare) ? look_conversation(random) : list_conversation(random);
}

Conversation as_conversation(Example example) {
  return {std::move(example.picture), {std::move(example.exchange)}};
}

}  // namespace

std::vector<RecordSetPlan> pretraining_sets(const Sizes& sizes) {
  return {{"train/sight", sizes.sight, sight_conversation},
          {"train/questions", sizes.questions, question_conversation}};
}

std::vector<RecordSetPlan> skill_sets(const Sizes& sizes, const std::vector<Digit>& digits) {
  return {{"train/species", sizes.skill, [](Random& random) { return as_conversation(species_example(random)); }},
          {"train/count", sizes.skill, [](Random& random) { return as_conversation(count_example(random)); }},
          {"train/digits", sizes.skill,
           [&digits](Random& random) { return as_conversation(digit_example(random, digits, Split::train)); }}};
}

std::vector<RecordSetPlan> study_sets(const Sizes& sizes) {
  const auto word = [](Random& random) { return as_conversation(word_example(random)); };
  const auto clock = [](Random& random) { return as_conversation(clock_example(random)); };
  return {{"train/word", sizes.skill, word},
          {"train/clock", sizes.skill, clock},
          {"test/word", sizes.test, word},
          {"test/clock", sizes.test, clock}};
}

std::vector<RecordSetPlan> test_sets(const Sizes& sizes, const std::vector<Digit>& digits) {
  std::vector<RecordSetPlan> plans;
  for (const QuestionKind& kind : question_kinds()) {
    plans.push_back({"test/" + std::string(kind.name), sizes.test, [&kind](Random& random) {
                       const Scene scene = benchmark_scene(random, kind);
                       std::vector<Exchange> exchanges{kind.ask(random, scene).value()};
                       return Conversation{draw(random, scene), std::move(exchanges)};
                     }});
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

std::map<std::string, double> question_blind_levels(const Sizes& sizes, std::uint64_t seed) {
  std::map<std::string, double> levels;
  for (const QuestionKind& kind : question_kinds()) {
    const std::string name(kind.name);
    for (std::int64_t i = 0; i < sizes.test; ++i) {
      Random random(seed, "test/" + name + "/" + std::to_string(i));  // the benchmark's own scenes
      const Scene scene = benchmark_scene(random, kind);
      levels[name] += question_blind_score(random, kind, scene) / static_cast<double>(sizes.test);
    }
  }
  return levels;
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
