// SPDX-License-Identifier: Apache-2.0
// Chat templates and label masks against conversations that the released code's rules were applied to in Python.
#include "framework/text/chat.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "framework/base/error.h"
#include "framework/base/json.h"

namespace retain::framework {
namespace {

const std::filesystem::path kFixtures = RETAIN_FIXTURES;

std::vector<Turn> turns_of(const json::value& conversations) {
  std::vector<Turn> turns;
  for (const auto& turn : conversations.as_array())
    turns.push_back({turn.at("from").as_string() == "gpt" ? Role::assistant : Role::user,
                     std::string(turn.at("value").as_string())});
  return turns;
}

std::vector<std::int64_t> ids_of(const json::value& list) {
  return json::value_to<std::vector<std::int64_t>>(list);
}

class ChatFixture : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(ChatFixture, EqualsTheReference) {
  const auto [name, family] = GetParam();
  const auto tokenizer = Tokenizer::load(kFixtures / "tokenizers" / family);
  const auto chat = ChatTemplate::named(name);
  const auto cases = read_json(kFixtures / "chat" / (std::string(name) + ".json"));
  ASSERT_EQ(cases.as_array().size(), 16u);
  for (const auto& item : cases.as_array()) {
    SCOPED_TRACE(std::string(item.at("name").as_string()));
    const auto turns = turns_of(item.at("conversations"));
    const auto clean = chat.encode(tokenizer, turns, LabelMode::clean);
    EXPECT_EQ(clean.prompt, item.at("prompt").as_string());
    EXPECT_EQ(clean.input_ids, ids_of(item.at("input_ids")));
    EXPECT_EQ(clean.labels, ids_of(item.at("labels")));
    const auto faithful = chat.encode(tokenizer, turns, LabelMode::faithful);
    EXPECT_EQ(faithful.input_ids, clean.input_ids);
    EXPECT_EQ(faithful.labels, ids_of(item.at("labels_llava_codebase")));
    const auto generation = chat.encode_for_generation(tokenizer, turns);
    EXPECT_EQ(generation.prompt, item.at("generation_prompt").as_string());
    EXPECT_EQ(generation.input_ids, ids_of(item.at("generation_input_ids")));
    EXPECT_EQ(generation.labels, std::vector<std::int64_t>(generation.input_ids.size(), kIgnoredLabel));
  }
}

INSTANTIATE_TEST_SUITE_P(Templates, ChatFixture,
                         testing::Values(std::pair("qwen_1_5", "qwen"), std::pair("llama_3", "llama3"),
                                         std::pair("qwen2_5_vl", "qwen")));

TEST(Chat, AnswerThatMergesWithItsHeaderIsMaskedOnlyThere) {
  const auto tokenizer = Tokenizer::load(kFixtures / "tokenizers" / "qwen");
  const auto chat = ChatTemplate::named("qwen_1_5");
  const std::vector<Turn> turns{{Role::user, "Hi"}, {Role::assistant, "\nfirst\n\n"}};
  const auto encoded = chat.encode(tokenizer, turns, LabelMode::clean);
  std::vector<std::int64_t> supervised;
  for (const auto label : encoded.labels)
    if (label != kIgnoredLabel) supervised.push_back(label);
  EXPECT_EQ(tokenizer.decode(supervised, false), "first\n\n<|im_end|>");
}

TEST(Chat, ComposedCharactersDoNotShiftTheMask) {
  const auto tokenizer = Tokenizer::load(kFixtures / "tokenizers" / "qwen");
  const auto chat = ChatTemplate::named("qwen_1_5");
  // Fifty letters that NFC shortens, then special tokens inside the answer.
  std::string answer;
  for (int i = 0; i < 50; ++i) answer += "e\u0301";
  answer += "<|im_end|> more<|im_start|>\n";
  const std::vector<Turn> turns{{Role::user, answer}, {Role::assistant, answer}};
  const auto encoded = chat.encode(tokenizer, turns, LabelMode::clean);
  std::vector<std::int64_t> supervised;
  for (const auto label : encoded.labels)
    if (label != kIgnoredLabel) supervised.push_back(label);
  std::string composed;
  for (int i = 0; i < 50; ++i) composed += "\u00e9";
  EXPECT_EQ(tokenizer.decode(supervised, false), composed + "<|im_end|> more<|im_start|>\n<|im_end|>");
}

TEST(Chat, EdgesOfConversations) {
  const auto tokenizer = Tokenizer::load(kFixtures / "tokenizers" / "qwen");
  const auto chat = ChatTemplate::named("qwen_1_5");
  EXPECT_EQ(chat.encode(tokenizer, {}, LabelMode::clean).prompt,
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n");
  const std::vector<Turn> lone{{Role::assistant, "x"}};
  EXPECT_EQ(chat.encode(tokenizer, lone, LabelMode::clean).prompt, chat.encode(tokenizer, {}, LabelMode::clean).prompt);
  const std::vector<Turn> empty_answer{{Role::user, "x"}, {Role::assistant, ""}};
  const auto labels = chat.encode(tokenizer, empty_answer, LabelMode::clean).labels;
  EXPECT_EQ(labels.size() - static_cast<std::size_t>(std::count(labels.begin(), labels.end(), kIgnoredLabel)), 1u);
  const std::vector<Turn> open_question{{Role::user, "a"}, {Role::assistant, "b"}, {Role::user, "c"}};
  EXPECT_TRUE(
      chat.encode_for_generation(tokenizer, open_question).prompt.ends_with("c<|im_end|>\n<|im_start|>assistant\n"));
}

TEST(Chat, RefusesWhatItDoesNotKnow) {
  EXPECT_THROW(ChatTemplate::named("alpaca"), Error);
  EXPECT_THROW(label_mode_from_name("dirty"), Error);
  const auto wrong = Tokenizer::load(kFixtures / "tokenizers" / "llama3");
  EXPECT_THROW(ChatTemplate::named("qwen_1_5").encode(wrong, {}, LabelMode::clean), Error);
}

}  // namespace
}  // namespace retain::framework
