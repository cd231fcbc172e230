// SPDX-License-Identifier: Apache-2.0
// `retain tokenize`: ids of every reference text through the command line, records with their masks, refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "framework/base/json.h"
#include "tests/support/command.h"

namespace retain::launch {
namespace {

namespace json = framework::json;
using tests::run_retain;

const std::filesystem::path kFixtures = RETAIN_FIXTURES;

std::string tokenizer(const std::string& family) {
  return "tokenize --model " + (kFixtures / "tokenizers" / family).string();
}

TEST(TokenizeCommand, GivesIdsAndTextOfEveryLine) {
  for (const char* family : {"qwen", "llama3"}) {
    const auto cases = framework::read_json(kFixtures / "tokenizers" / family / "cases.json");
    std::string input;
    for (const auto& item : cases.as_array()) input += json::serialize(json::object{{"text", item.at("text")}}) + "\n";
    const auto result = run_retain(tokenizer(family), input);
    ASSERT_EQ(result.status, 0) << result.err;
    std::istringstream lines(result.out);
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      const auto& expected = cases.at(count);
      const auto found = framework::parse_json(line, "a line of the command");
      EXPECT_EQ(found.at("ids"), expected.at("ids")) << expected.at("text");
      EXPECT_EQ(found.at("text"), expected.at("decoded"));
    }
    EXPECT_EQ(count, cases.as_array().size());
  }
}

TEST(TokenizeCommand, ShowsTheMaskOfRecords) {
  const std::string records = " --records " + (kFixtures / "records" / "ok.json").string();
  const auto supervised = [](const std::string& line) {
    const auto record = framework::parse_json(line, "a line of the command");
    std::string text;
    for (std::size_t i = 0; i < record.at("labels").as_array().size(); ++i)
      if (record.at("labels").at(i).as_int64() != -100)
        text += std::string(record.at("tokens").at(i).as_string()) + "|";
    return text;
  };
  const auto clean = run_retain(tokenizer("qwen") + records);
  ASSERT_EQ(clean.status, 0) << clean.err;
  EXPECT_EQ(supervised(clean.out), "A|.|<|im_end|>|");
  const auto faithful = run_retain(tokenizer("qwen") + records + " --mode faithful");
  ASSERT_EQ(faithful.status, 0) << faithful.err;
  EXPECT_THAT(supervised(faithful.out), testing::StartsWith("<|im_start|>|Ċ|<|im_end|>|Ċ|<|im_start|>|Ċ|Ċ|"));
  EXPECT_THAT(supervised(faithful.out), testing::EndsWith("A|.|<|im_end|>|Ċ|"));
}

TEST(TokenizeCommand, DumpsOneTokenALine) {
  const std::string records = " --records " + (kFixtures / "records" / "ok.json").string() + " --dump";
  const auto model = run_retain("tokenize --model " + (kFixtures / "models/llava_onevision/hub").string() + records);
  ASSERT_EQ(model.status, 0) << model.err;
  EXPECT_THAT(model.out, testing::HasSubstr(" 3 supervised (*)\n"));
  EXPECT_THAT(model.out, testing::HasSubstr("     0     331   \"<|im_start|>\"\n"));
  EXPECT_THAT(model.out, testing::HasSubstr("     333   \"<image>\"\n"));
  EXPECT_THAT(model.out, testing::HasSubstr("     332 * \"<|im_end|>\"\n"));
  // The template is the model's own.
  const auto other = run_retain("tokenize --model " + (kFixtures / "models/llava_next_rope3/hub").string() + records);
  ASSERT_EQ(other.status, 0) << other.err;
  EXPECT_THAT(other.out, testing::HasSubstr("* \"<|eot_id|>\"\n"));
}

TEST(TokenizeCommand, RefusesWithOneMessage) {
  const auto refused = [](const std::string& arguments, const std::string& input, const std::string& kind) {
    const auto result = run_retain(arguments, input);
    EXPECT_GE(result.status, 1) << arguments;
    EXPECT_LE(result.status, 127) << arguments;
    EXPECT_EQ(result.out, "") << arguments;
    EXPECT_THAT(result.err, testing::HasSubstr(kind)) << arguments;
  };
  const std::string corrupt = "tokenize --model " + (kFixtures / "tokenizers" / "corrupt").string();
  refused(corrupt + "/tokenizer_no_merges.json", "", "[tokenizer_invalid]");
  refused(corrupt + "/tokenizer_merge_not_in_vocab.json", "", "[tokenizer_invalid]");
  refused(corrupt + "/tokenizer_unigram.json", "", "[tokenizer_unsupported]");
  refused("tokenize --model /nowhere", "", "[tokenizer_invalid]");
  refused(tokenizer("qwen"), "{\"txt\": 1}\n", "[data_invalid]");
  refused(tokenizer("qwen"), "{\"text\": \"\xff\"}\n", "[data_invalid]");
  refused(tokenizer("qwen") + " --records " + (kFixtures / "records" / "empty_conversation.json").string(), "",
          "[data_no_answer]");
  refused("tokenize", "", "--model");
}

}  // namespace
}  // namespace retain::launch
