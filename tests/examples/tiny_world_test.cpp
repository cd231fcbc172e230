// SPDX-License-Identifier: Apache-2.0
// The tiny world: the same seed gives the same records, answers are true, every word is one token.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "examples/tiny/world/benchmark_scene.h"
#include "examples/tiny/world/sets.h"
#include "examples/tiny/world/writer.h"
#include "framework/base/json.h"
#include "framework/text/tokenizer.h"

namespace retain::tiny {
namespace {

namespace fs = std::filesystem;

std::vector<Digit> some_digits() {
  std::vector<Digit> digits(static_cast<std::size_t>(kTrainingDigits) + 10);
  for (std::size_t i = 0; i < digits.size(); ++i) digits[i].label = static_cast<int>(i % 10);
  return digits;
}

class TinyWorld : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("tiny_world_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(TinyWorld, SameSeedSameBytes) {
  const RecordSetPlan plan{"train/questions", 5, pretraining_sets({}).back().make};
  for (const char* name : {"a", "b", "c"}) write_set(folder_ / name, plan, name[0] == 'c' ? 8 : 7);
  const auto text = [&](const char* name) { return framework::read_file(folder_ / name / "train/questions.jsonl"); };
  const auto picture = [&](const char* name) {
    return framework::read_file(folder_ / name / "train/pictures/questions/0/4.png");
  };
  EXPECT_EQ(text("a"), text("b"));
  EXPECT_EQ(picture("a"), picture("b"));
  EXPECT_NE(text("a"), text("c"));
}

TEST_F(TinyWorld, EveryWordIsOneToken) {
  const std::vector<Digit> digits = some_digits();
  framework::json::object file = world_tokenizer(digits).build();
  write_text(folder_ / "tokenizer.json", framework::pretty(file));
  const framework::Tokenizer tokenizer = framework::Tokenizer::load(folder_);
  for (const std::string word :
       {" circle", "circle", " yellow", "dax", " crosses", " six", "three", " background", " letter", "yes"}) {
    const bool known = word != " background";
    EXPECT_EQ(tokenizer.encode(word).size() == 1, known) << word;
  }
  EXPECT_EQ(tokenizer.encode("Describe the red one.").size(), 5U);
}

TEST_F(TinyWorld, AnswersFollowFromTheScene) {
  const Scene scene{{{0, Kind::shape, 0, 0, true}, {4, Kind::arrow, 1, 2, false}, {8, Kind::letter, 3, 1, false}}};
  EXPECT_EQ(describe(scene).answer,
            "at the top left a big red circle, at the center a small blue arrow pointing right, "
            "at the bottom right a small green letter H.");
  Random random(1, "answers");
  for (int i = 0; i < 200; ++i) {
    const Exchange kind = question_kind("kind").ask(random, scene).value();
    if (kind.question == "Is the blue one a shape, a letter or an arrow?") {
      EXPECT_EQ(kind.answer, "arrow");
    }
    const Exchange told = question_kind("describe").ask(random, scene).value();
    if (told.question == "Describe the blue one.") {
      EXPECT_EQ(told.answer, "the blue one is a small arrow pointing right");
    }
  }
}

TEST_F(TinyWorld, HalfOfTheLooksAskedAboutAreWrong) {
  const Scene scene{{{0, Kind::shape, 0, 0, true}, {4, Kind::arrow, 1, 2, false}, {8, Kind::letter, 3, 1, false}}};
  const std::set<std::string> right{"Is the red one a circle?",     "Is the blue one an arrow?",
                                    "Is the green one a letter H?", "Is the red one big?",
                                    "Is the blue one small?",       "Is the green one small?"};
  Random random(1, "verify");
  std::map<std::string, int> answers;
  for (int i = 0; i < 1000; ++i) {
    const Exchange asked = question_kind("verify").ask(random, scene).value();
    EXPECT_EQ(asked.answer, right.count(asked.question) ? "yes" : "no") << asked.question;
    ++answers[asked.answer];
  }
  EXPECT_NEAR(answers["yes"], 500, 60);
  const Scene alike{{{0, Kind::arrow, 0, 0, true}, {4, Kind::arrow, 1, 2, true}}};
  EXPECT_FALSE(question_kind("verify").ask(random, alike));
}

TEST_F(TinyWorld, CountedObjectsAreThere) {
  for (int i = 0; i < 100; ++i) {
    Random random(2, "count/" + std::to_string(i));
    const Exchange exchange = count_example(random).exchange;
    const auto number = std::find(kNumbers.begin(), kNumbers.end(), exchange.answer);
    ASSERT_NE(number, kNumbers.end()) << exchange.answer;
    EXPECT_TRUE(number - kNumbers.begin() >= 1 && number - kNumbers.begin() <= 4);
  }
}

TEST_F(TinyWorld, WordsAndTimesAreWrittenAsTheyAreAnswered) {
  std::map<std::string, std::string> first_picture;
  for (int i = 0; i < 300; ++i) {
    Random random(4, "study/" + std::to_string(i));
    const std::string word = word_example(random).exchange.answer;
    ASSERT_EQ(word.size(), 2U);
    EXPECT_EQ(word.find_first_not_of(kLetters), std::string::npos) << word;
    const Example clock = clock_example(random);
    EXPECT_TRUE(std::regex_match(clock.exchange.answer, std::regex("([1-9]|1[0-2]):(00|15|30|45)"))) << clock.exchange.answer;
    clock.picture.write_png(folder_ / "clock.png");
    first_picture.emplace(framework::read_file(folder_ / "clock.png"), clock.exchange.answer);
  }
  EXPECT_EQ(first_picture.size(), 300U) << "shades and places differ";
}

TEST_F(TinyWorld, TheStudysSkillsLeaveTheTokenizerAsItIs) {
  const std::string shipped = framework::read_file(std::filesystem::path(RETAIN_FIXTURES) / "../../examples/tiny/base/tokenizer.json");
  const std::vector<Digit> digits = read_digits(std::filesystem::path(RETAIN_FIXTURES) / "../../examples/tiny/digits.txt");
  EXPECT_EQ(framework::json::parse(shipped), framework::json::value(world_tokenizer(digits).build()));
}

TEST_F(TinyWorld, BlindLevelIsTheShareOfTheMostFrequentAnswer) {
  const Scene scene{{{0, Kind::shape, 0, 0, true}, {4, Kind::shape, 1, 2, true}}};
  Random random(3, "blind");
  EXPECT_NEAR(question_blind_score(random, question_kind("shape"), scene), 0.5, 0.1);
  EXPECT_DOUBLE_EQ(question_blind_score(random, question_kind("size"), scene), 1.0);
}

TEST_F(TinyWorld, DamagedDigitsAreRefused) {
  write_text(folder_ / "digits.txt", "3abc\n");
  EXPECT_THROW(read_digits(folder_ / "digits.txt"), framework::Error);
}

}  // namespace
}  // namespace retain::tiny
