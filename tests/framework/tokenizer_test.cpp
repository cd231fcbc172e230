// SPDX-License-Identifier: Apache-2.0
// The tokenizer against ids and texts that the Hugging Face library produced, and against damaged files.
#include "framework/text/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/base/random.h"
#include "framework/text/utf8.h"
#include "tests/support/scratch.h"

namespace retain::framework {
namespace {

const std::filesystem::path kTokenizers = std::filesystem::path(RETAIN_FIXTURES) / "tokenizers";

std::vector<std::int64_t> ids_of(const json::value& list) {
  return json::value_to<std::vector<std::int64_t>>(list);
}

ErrorKind kind_of_load(const std::filesystem::path& path) {
  try {
    Tokenizer::load(path);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

/// A tokenizer.json in a folder of its own, removed at the end.
class TemporaryTokenizer {
 public:
  explicit TemporaryTokenizer(const std::string& text) { std::ofstream(file(), std::ios::binary) << text; }
  std::filesystem::path file() const { return scratch_ / "tokenizer.json"; }

 private:
  tests::Scratch scratch_;
};

class TokenizerFixture : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerFixture, EqualsHuggingFace) {
  const auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  const auto cases = read_json(kTokenizers / GetParam() / "cases.json");
  ASSERT_EQ(cases.as_array().size(), 218u);
  for (const auto& item : cases.as_array()) {
    const std::string text(item.at("text").as_string());
    const auto ids = ids_of(item.at("ids"));
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    EXPECT_EQ(tokenizer.encode(text), ids) << "a second time: " << text;
    EXPECT_EQ(tokenizer.decode(ids, false), item.at("decoded").as_string()) << text;
    EXPECT_EQ(tokenizer.decode(ids, true), item.at("decoded_skip_special").as_string()) << text;
  }
}

TEST_P(TokenizerFixture, StartsPointAtTheTokens) {
  const auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  for (const std::string text : {"Hello, world!  Two\n\nlines <image> and <|im_end|>123 don't", "", "é中🐦x"}) {
    const Encoding encoding = tokenizer.encode_with_starts(text);
    EXPECT_EQ(encoding.ids, tokenizer.encode(text));
    ASSERT_EQ(encoding.ids.size(), encoding.starts.size());
    for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
      const auto bytes = tokenizer.bytes_of(encoding.ids[i]);
      EXPECT_EQ(text.substr(static_cast<std::size_t>(encoding.starts[i]), bytes.size()), bytes);
    }
  }
}

TEST_P(TokenizerFixture, RandomTextComesBack) {
  const auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  Random random(11, GetParam());
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    const auto length = random.below(40);
    for (std::int64_t i = 0; i < length; ++i) {
      // Letters without canonical decompositions or combining marks, so that NFC leaves them alone.
      constexpr char32_t kFirst[] = {0x20, 0x0, 0x410, 0x4E00, 0x1F600, 0x3041};
      constexpr std::int64_t kCount[] = {95, 32, 9, 5000, 60, 10};
      const auto range = static_cast<std::size_t>(random.below(6));
      append_utf8(text, kFirst[range] + static_cast<char32_t>(random.below(kCount[range])));
    }
    const auto ids = tokenizer.encode(text);
    EXPECT_EQ(tokenizer.decode(ids, false), text);
    EXPECT_EQ(tokenizer.encode_with_starts(text).ids, ids);
  }
}

TEST_P(TokenizerFixture, RandomIdsDecodeToUtf8) {
  const auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  Random random(12, GetParam());
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::int64_t> ids(static_cast<std::size_t>(random.below(30)));
    for (auto& id : ids) id = random.below(tokenizer.id_limit() + 20) - 10;
    EXPECT_FALSE(find_ill_formed_utf8(tokenizer.decode(ids, random.below(2) == 0)).has_value());
  }
}

TEST_P(TokenizerFixture, ThreadsAgree) {
  const auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  const auto cases = read_json(kTokenizers / GetParam() / "cases.json");
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (const auto& item : cases.as_array())
        wrong[t] += tokenizer.encode(std::string(item.at("text").as_string())) != ids_of(item.at("ids"));
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST_P(TokenizerFixture, NamesAndSpecialTokens) {
  auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  const auto image = tokenizer.id_of("<image>");
  ASSERT_TRUE(image.has_value());
  EXPECT_TRUE(tokenizer.is_special(*image));
  EXPECT_EQ(tokenizer.token_of(*image), "<image>");
  EXPECT_EQ(tokenizer.id_of("Ċ"), tokenizer.id_of_byte('\n'));
  EXPECT_EQ(tokenizer.id_of("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer.token_of(-1), "");
  EXPECT_EQ(tokenizer.token_of(1 << 30), "");
  EXPECT_EQ(tokenizer.size(), tokenizer.id_limit());
  const auto limit = tokenizer.id_limit();
  EXPECT_EQ(tokenizer.add_special("<image>"), *image);
  EXPECT_EQ(tokenizer.add_special("<new>"), limit);
  EXPECT_EQ(tokenizer.encode("<new>"), std::vector<std::int64_t>{limit});
  EXPECT_EQ(tokenizer.decode(std::vector<std::int64_t>{limit}, true), "");
}

INSTANTIATE_TEST_SUITE_P(Families, TokenizerFixture, testing::Values("qwen", "llama3"));

TEST(Tokenizer, LongWordsAreMergedAsShortOnesAre) {
  const auto tokenizer = Tokenizer::load(kTokenizers / "qwen");
  // Repeating a word's merges far apart must give the same pieces whichever of the two merging routines runs.
  const std::string unit = "this";
  const auto once = tokenizer.encode("xq" + unit);
  std::string text = "xq";
  for (int i = 0; i < 30000; ++i) text += unit;
  const auto many = tokenizer.encode(text);
  EXPECT_EQ(tokenizer.decode(many, false), text);
  EXPECT_LT(many.size(), text.size());
  EXPECT_EQ(std::vector<std::int64_t>(many.begin(), many.begin() + 1),
            std::vector<std::int64_t>(once.begin(), once.begin() + 1));
}

TEST(Tokenizer, MarksYoungerThanTheReferencesTablesKeepTheirPlaces) {
  const auto tokenizer = Tokenizer::load(std::filesystem::path(RETAIN_FIXTURES) / "tokenizers" / "qwen");
  // U+0C3C (Unicode 14, class 7) after U+0952 (class 220): as old as both are, they would change places.
  const std::string young = "a\xE0\xA5\x92\xE0\xB0\xBC", old = "a\xE0\xA5\x92\xE0\xA4\xBC";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(young), false), young);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(old), false), "a\xE0\xA4\xBC\xE0\xA5\x92");
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
  const auto tokenizer = Tokenizer::load(kTokenizers / "qwen");
  for (const std::string text : {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80", "12345678\x80", "\xf4\x90\x80\x80"}) {
    try {
      tokenizer.encode(text);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data_invalid);
    }
  }
}

TEST(Tokenizer, MergesMayBeStrings) {
  auto file = read_json(kTokenizers / "qwen" / "tokenizer.json");
  for (auto& merge : file.at_pointer("/model/merges").as_array())
    merge = json::string(std::string(merge.at(0).as_string()) + " " + std::string(merge.at(1).as_string()));
  const TemporaryTokenizer temporary(json::serialize(file));
  const auto tokenizer = Tokenizer::load(temporary.file());
  const auto cases = read_json(kTokenizers / "qwen" / "cases.json");
  for (const auto& item : cases.as_array())
    EXPECT_EQ(tokenizer.encode(std::string(item.at("text").as_string())), ids_of(item.at("ids")));
}

/// Takes the qwen fixture apart into the older pair of files, with its added tokens in tokenizer_config.json.
void write_vocab_and_merges(const std::filesystem::path& folder, const std::string& tokenizer_class) {
  const auto file = read_json(kTokenizers / "qwen" / "tokenizer.json");
  std::ofstream(folder / "vocab.json") << json::serialize(file.at_pointer("/model/vocab"));
  std::ofstream merges(folder / "merges.txt");
  merges << "#version: 0.2\n";
  for (const auto& merge : file.at_pointer("/model/merges").as_array())
    merges << std::string(merge.at(0).as_string()) << ' ' << std::string(merge.at(1).as_string()) << '\n';
  json::object added;
  for (const auto& token : file.at("added_tokens").as_array()) added[std::to_string(token.at("id").as_int64())] = token;
  std::ofstream(folder / "tokenizer_config.json")
      << json::serialize(json::object{{"tokenizer_class", tokenizer_class}, {"added_tokens_decoder", added}});
}

TEST(Tokenizer, ReadsVocabAndMerges) {
  const tests::Scratch scratch;
  write_vocab_and_merges(scratch.path(), "Qwen2Tokenizer");
  const auto tokenizer = Tokenizer::load(scratch.path());
  const auto cases = read_json(kTokenizers / "qwen" / "cases.json");
  for (const auto& item : cases.as_array()) {
    EXPECT_EQ(tokenizer.encode(std::string(item.at("text").as_string())), ids_of(item.at("ids")));
    EXPECT_EQ(tokenizer.decode(ids_of(item.at("ids")), true), item.at("decoded_skip_special").as_string());
  }
  write_vocab_and_merges(scratch.path(), "BertTokenizer");
  EXPECT_EQ(kind_of_load(scratch.path()), ErrorKind::tokenizer_unsupported);
  std::filesystem::remove(scratch / "tokenizer_config.json");
  EXPECT_EQ(kind_of_load(scratch.path()), ErrorKind::tokenizer_invalid);
}

TEST(Tokenizer, ConfigAddsWhatTheFileLacks) {
  const tests::Scratch scratch;
  std::filesystem::copy(kTokenizers / "qwen" / "tokenizer.json", scratch / "tokenizer.json");
  std::ofstream(scratch / "tokenizer_config.json")
      << R"({"eos_token": "<|im_end|>", "pad_token": {"content": "[PAD]"}, "additional_special_tokens": ["<extra>"],
             "added_tokens_decoder": {"1010": {"content": "<far>", "special": true}}})";
  const auto tokenizer = Tokenizer::load(scratch.path());
  EXPECT_EQ(tokenizer.id_of("<far>"), 1010);
  EXPECT_EQ(tokenizer.id_of("[PAD]"), 1011);
  EXPECT_EQ(tokenizer.id_of("<extra>"), 1012);
  EXPECT_EQ(tokenizer.encode("[PAD]<far>"), (std::vector<std::int64_t>{1011, 1010}));
  EXPECT_TRUE(tokenizer.is_special(1012));
  EXPECT_EQ(tokenizer.size(), 1011);
  EXPECT_EQ(tokenizer.id_limit(), 1013);
  std::ofstream(scratch / "tokenizer_config.json") << R"({"added_tokens_decoder": {"3": {"content": "<taken>"}}})";
  EXPECT_EQ(kind_of_load(scratch.path()), ErrorKind::tokenizer_invalid);
  std::ofstream(scratch / "tokenizer_config.json") << "[";
  EXPECT_EQ(kind_of_load(scratch.path()), ErrorKind::tokenizer_invalid);
}

TEST(Tokenizer, FlagsOfAddedTokens) {
  auto file = read_json(kTokenizers / "qwen" / "tokenizer.json");
  auto& added = file.at("added_tokens").as_array();
  const auto limit = static_cast<std::int64_t>(1008);
  const auto add = [&](const char* content, std::int64_t id, const char* flag) {
    json::object token{{"id", id}, {"content", content}, {"special", false}, {"normalized", false}};
    token[flag] = true;
    added.push_back(token);
  };
  add("[L]", limit, "lstrip");
  add("[R]", limit + 1, "rstrip");
  add("word", limit + 2, "single_word");
  add("caf\u00e9", limit + 3, "normalized");
  add("[L]longer", limit + 4, "special");
  const TemporaryTokenizer temporary(json::serialize(file));
  const auto tokenizer = Tokenizer::load(temporary.file());
  const auto with = [&](std::initializer_list<const char*> before, std::int64_t id, const char* after) {
    std::vector<std::int64_t> ids;
    for (const char* text : before)
      for (const auto part : tokenizer.encode(text)) ids.push_back(part);
    ids.push_back(id);
    for (const auto part : tokenizer.encode(after)) ids.push_back(part);
    return ids;
  };
  EXPECT_EQ(tokenizer.encode("a  \n[L] b"), with({"a"}, limit, " b"));
  EXPECT_EQ(tokenizer.encode("a [R] \u3000b"), with({"a "}, limit + 1, "b"));
  EXPECT_EQ(tokenizer.encode("a word."), with({"a "}, limit + 2, "."));
  EXPECT_EQ(tokenizer.encode("words"), tokenizer.encode("words"));
  EXPECT_NE(tokenizer.encode("words").front(), limit + 2);
  EXPECT_EQ(tokenizer.encode("x cafe\u0301"), with({"x "}, limit + 3, ""));
  EXPECT_EQ(tokenizer.encode("[L]longer"), with({}, limit + 4, "")) << "the longest of those that start together";
}

}  // namespace
}  // namespace retain::framework
