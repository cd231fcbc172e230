// SPDX-License-Identifier: Apache-2.0
// Damaged and unsupported tokenizer files: each is refused by its kind, and only Error ever comes out.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/base/random.h"
#include "framework/text/tokenizer.h"
#include "tests/support/scratch.h"

namespace retain::framework {
namespace {

const std::filesystem::path kTokenizers = std::filesystem::path(RETAIN_FIXTURES) / "tokenizers";

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

TEST(Tokenizer, RefusesDamagedFiles) {
  EXPECT_EQ(kind_of_load(kTokenizers / "corrupt" / "tokenizer_no_merges.json"), ErrorKind::tokenizer_invalid);
  EXPECT_EQ(kind_of_load(kTokenizers / "corrupt" / "tokenizer_merge_not_in_vocab.json"), ErrorKind::tokenizer_invalid);
  EXPECT_EQ(kind_of_load(kTokenizers / "corrupt" / "tokenizer_unigram.json"), ErrorKind::tokenizer_unsupported);
  EXPECT_EQ(kind_of_load(kTokenizers / "nowhere"), ErrorKind::tokenizer_invalid);
}

/// Sets the member at `path` of a small working tokenizer, loads it and returns the kind of the refusal.
ErrorKind kind_with(std::string_view pointer, const json::value& value) {
  auto file = read_json(kTokenizers / "llama3" / "tokenizer.json");
  file.at_pointer(pointer) = value;
  const TemporaryTokenizer temporary(json::serialize(file));
  return kind_of_load(temporary.file());
}

TEST(Tokenizer, NamesWhatItDoesNotHave) {
  EXPECT_EQ(kind_with("/normalizer", {{"type", "Lowercase"}}), ErrorKind::tokenizer_unsupported);
  EXPECT_EQ(kind_with("/pre_tokenizer", {{"type", "Whitespace"}}), ErrorKind::tokenizer_unsupported);
  EXPECT_EQ(kind_with("/pre_tokenizer", nullptr), ErrorKind::tokenizer_unsupported);
  EXPECT_EQ(kind_with("/pre_tokenizer/pretokenizers/0/pattern/Regex", "(unclosed"), ErrorKind::tokenizer_unsupported);
  EXPECT_EQ(kind_with("/pre_tokenizer/pretokenizers/0/pattern/Regex", 3), ErrorKind::tokenizer_invalid);
  EXPECT_EQ(kind_with("/decoder", {{"type", "WordPiece"}}), ErrorKind::tokenizer_unsupported);
  EXPECT_EQ(kind_with("/model/byte_fallback", true), ErrorKind::tokenizer_unsupported);
  EXPECT_EQ(kind_with("/model/vocab/!", -1), ErrorKind::tokenizer_invalid);
  EXPECT_EQ(kind_with("/model/vocab/!", std::int64_t{1} << 60), ErrorKind::tokenizer_invalid);
  EXPECT_EQ(kind_with("/model/vocab/!", 5), ErrorKind::tokenizer_invalid) << "two tokens, one id";
  EXPECT_EQ(kind_with("/model/merges/0", "a b c"), ErrorKind::tokenizer_invalid);
  EXPECT_EQ(kind_with("/model/merges/0", 7), ErrorKind::tokenizer_invalid);
  EXPECT_EQ(kind_with("/added_tokens/0/id", 5), ErrorKind::tokenizer_invalid) << "id of another token";
  EXPECT_EQ(kind_with("/added_tokens/0", "x"), ErrorKind::tokenizer_invalid);
}

TEST(Tokenizer, OnlyErrorsLeaveDamagedFiles) {
  const std::string good = read_file(kTokenizers / "qwen" / "tokenizer.json");
  auto small = parse_json(good, "tokenizer.json");
  // A file of a few kilobytes makes each mutation likelier to matter, and the rounds quick.
  auto& vocab = small.at_pointer("/model/vocab").as_object();
  auto& merges = small.at_pointer("/model/merges").as_array();
  merges.resize(20);
  for (auto& token : small.at("added_tokens").as_array()) token.at("id") = token.at("id").as_int64() - 700;
  for (auto it = vocab.begin(); it != vocab.end();)
    it = it->value().as_int64() >= 300 ? vocab.erase(it) : std::next(it);
  const std::string text = json::serialize(small);
  Random random(13, "fuzz");
  int loaded = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = text;
    const auto edits = 1 + random.below(4);
    for (std::int64_t e = 0; e < edits && !bytes.empty(); ++e) {
      const auto at = static_cast<std::size_t>(random.below(static_cast<std::int64_t>(bytes.size())));
      switch (random.below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random.next());
          break;
        case 1:
          bytes.erase(at, static_cast<std::size_t>(random.below(40)));
          break;
        case 2:
          bytes.insert(
              at, bytes.substr(static_cast<std::size_t>(random.below(static_cast<std::int64_t>(bytes.size()))), 15));
          break;
        default:
          bytes[at] = "{}[]\",:0-9ntf\\"[random.below(14)];
          break;
      }
    }
    const TemporaryTokenizer temporary(bytes);
    try {
      const auto tokenizer = Tokenizer::load(temporary.file());
      ++loaded;
      for (const char* sample : {"Hello <image> world 12", "don't  \n\n x", "\u00e9\u4e2d"})
        tokenizer.decode(tokenizer.encode(sample), true);
    } catch (const Error&) {
    }
  }
  EXPECT_GT(loaded, 20);
  EXPECT_LT(loaded, 1980);
}

}  // namespace
}  // namespace retain::framework
