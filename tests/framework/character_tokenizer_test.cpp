// SPDX-License-Identifier: Apache-2.0
// Tokenizers over characters (LLaMA-2, Vicuna, Mistral) against ids and texts that the Hugging Face library produced
// (fixtures/tokenizers/make_character_tokenizers.py).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/base/random.h"
#include "framework/text/chat.h"
#include "framework/text/tokenizer.h"
#include "framework/text/utf8.h"
#include "tests/support/scratch.h"

namespace retain::framework {
namespace {

const std::filesystem::path kTokenizers = std::filesystem::path(RETAIN_FIXTURES) / "tokenizers";

std::vector<std::int64_t> ids_of(const json::value& list) {
  return json::value_to<std::vector<std::int64_t>>(list);
}

class CharacterTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(CharacterTokenizer, EqualsHuggingFace) {
  const auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  const auto cases = read_json(kTokenizers / GetParam() / "cases.json");
  ASSERT_GT(cases.as_array().size(), 100u);
  for (const auto& item : cases.as_array()) {
    const std::string text(item.at("text").as_string());
    const auto ids = ids_of(item.at("ids"));
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    EXPECT_EQ(tokenizer.encode_with_starts(text).ids, ids) << text;
    EXPECT_EQ(tokenizer.decode(ids, false), item.at("decoded").as_string()) << text;
    EXPECT_EQ(tokenizer.decode(ids, true), item.at("decoded_skip_special").as_string()) << text;
  }
}

TEST_P(CharacterTokenizer, StartsPointAtTheTokens) {
  const auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  for (const std::string text : {"the cat  sat <image>\nWhat color?</s>USER: a", "  the", "", "a naïve dog"}) {
    const Encoding encoding = tokenizer.encode_with_starts(text);
    ASSERT_EQ(encoding.ids.size(), encoding.starts.size());
    for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
      std::string_view bytes = tokenizer.bytes_of(encoding.ids[i]);
      if (bytes == "<unk>") continue;
      const auto start = static_cast<std::size_t>(encoding.starts[i]);
      // The space that is put before a stretch of text is not in it.
      if (text.substr(start, bytes.size()) != bytes && bytes.starts_with(' ')) bytes.remove_prefix(1);
      EXPECT_EQ(text.substr(start, bytes.size()), bytes) << text << " at " << i;
    }
  }
}

TEST_P(CharacterTokenizer, RandomIdsDecodeToUtf8) {
  const auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  Random random(12, GetParam());
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::int64_t> ids(static_cast<std::size_t>(random.below(30)));
    for (auto& id : ids) id = random.below(tokenizer.id_limit() + 20) - 10;
    EXPECT_FALSE(find_ill_formed_utf8(tokenizer.decode(ids, random.below(2) == 0)).has_value());
  }
}

TEST_P(CharacterTokenizer, LongTextIsTheSameInPieces) {
  const auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  std::string text = "the";
  for (int i = 0; i < 300; ++i) text += " cat sat";
  const auto ids = tokenizer.encode(text);
  EXPECT_EQ(tokenizer.decode(ids, false), text);
}

TEST_P(CharacterTokenizer, SpecialTokensCanBeAdded) {
  auto tokenizer = Tokenizer::load(kTokenizers / GetParam());
  const auto limit = tokenizer.id_limit();
  EXPECT_EQ(tokenizer.add_special("<new>"), limit);
  EXPECT_EQ(tokenizer.encode("<new>"), std::vector<std::int64_t>{limit});
  EXPECT_EQ(tokenizer.decode(std::vector<std::int64_t>{limit}, true), "");
  EXPECT_EQ(tokenizer.encode("the <new>").back(), limit);
}

INSTANTIATE_TEST_SUITE_P(Kinds, CharacterTokenizer, testing::Values("llama2", "metaspace_first", "metaspace_split"));

TEST(CharacterTokenizerFiles, ByteTokensStandForTheirBytes) {
  const auto tokenizer = Tokenizer::load(kTokenizers / "llama2");
  const auto line_feed = tokenizer.id_of_byte('\n');
  ASSERT_TRUE(line_feed);
  EXPECT_EQ(tokenizer.token_of(*line_feed), "<0x0A>");
  EXPECT_EQ(tokenizer.bytes_of(*line_feed), "\n");
  EXPECT_EQ(tokenizer.bytes_of(*tokenizer.id_of("\u2581c")), " c");
  EXPECT_EQ(Tokenizer::load(kTokenizers / "metaspace_split").id_of_byte('\n'), std::nullopt);
}

struct Spoiled {
  const char* pointer;
  json::value value;
  ErrorKind kind;
};

TEST(CharacterTokenizerFiles, RefusesWhatItCannotDo) {
  const auto invalid = ErrorKind::tokenizer_invalid, unsupported = ErrorKind::tokenizer_unsupported;
  const std::vector<Spoiled> cases{
      {"/normalizer", nullptr, unsupported},  // then nothing says how words are cut
      {"/normalizer/normalizers/0/type", "Lowercase", unsupported},
      {"/normalizer/normalizers/0/prepend", 3, invalid},
      {"/normalizer/normalizers/1/pattern", json::object{{"Regex", " "}}, unsupported},
      {"/normalizer/normalizers/1/pattern", "x", invalid},
      {"/normalizer/normalizers/1/content", nullptr, invalid},
      {"/decoder", nullptr, unsupported},
      {"/decoder/decoders/0/type", "CTC", unsupported},
      {"/decoder/decoders/3/start", -1, invalid},
      {"/decoder/decoders/3/content", "", invalid},
      {"/pre_tokenizer", json::object{{"type", "Whitespace"}}, unsupported},
      {"/pre_tokenizer", json::object{{"type", "Metaspace"}}, invalid},
      {"/pre_tokenizer", json::object{{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}},
       unsupported},
      {"/pre_tokenizer", json::object{{"type", "ByteLevel"}}, unsupported}};
  for (const Spoiled& spoiled : cases) {
    SCOPED_TRACE(spoiled.pointer);
    const tests::Scratch scratch;
    json::value document = read_json(kTokenizers / "llama2/tokenizer.json");
    document.at_pointer(spoiled.pointer) = spoiled.value;
    std::ofstream(scratch / "tokenizer.json") << json::serialize(document);
    try {
      Tokenizer::load(scratch.path());
      ADD_FAILURE() << "accepted " << spoiled.value;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), spoiled.kind) << error.what();
    }
  }
}

/// What is supervised of a conversation of two questions, and its prompts.
struct Supervised {
  std::string prompt, text, generation;
};

Supervised supervise(const char* name, LabelMode mode) {
  const auto tokenizer = Tokenizer::load(kTokenizers / "llama2");
  const auto chat = ChatTemplate::named(name);
  const std::vector<Turn> turns{
      {Role::user, "What color? <image>"}, {Role::assistant, "the  cat"}, {Role::user, "dogs"}, {Role::assistant, "3"}};
  const auto encoded = chat.encode(tokenizer, turns, mode);
  EXPECT_EQ(encoded.input_ids.front(), tokenizer.id_of("<s>"));
  EXPECT_EQ(encoded.labels.front(), kIgnoredLabel);
  std::vector<std::int64_t> kept;
  for (const std::int64_t label : encoded.labels)
    if (label != kIgnoredLabel) kept.push_back(label);
  std::string text;
  for (const std::int64_t id : kept) text += tokenizer.bytes_of(id);
  const auto generation = chat.encode_for_generation(tokenizer, turns);
  EXPECT_TRUE(std::equal(generation.input_ids.begin(), generation.input_ids.end(), encoded.input_ids.begin()));
  return {encoded.prompt, text, generation.prompt};
}

TEST(Llama2Chat, VicunaSupervisesAnswersAndTheirEnds) {
  for (const LabelMode mode : {LabelMode::clean, LabelMode::faithful}) {
    const Supervised found = supervise("vicuna", mode);
    const std::string system =
        "<s>A chat between a curious user and an artificial intelligence assistant. The assistant gives "
        "helpful, detailed, and polite answers to the user's questions. ";
    EXPECT_EQ(found.prompt, system + "USER: <image>\nWhat color? ASSISTANT: the  cat</s>USER: dogs ASSISTANT: 3</s>");
    EXPECT_EQ(found.generation, system + "USER: <image>\nWhat color? ASSISTANT: the  cat</s>USER: dogs ASSISTANT:");
    EXPECT_EQ(found.text, " the  cat</s> 3</s>");
  }
}

TEST(Llama2Chat, MistralSupervisesAnswersAndTheirEnds) {
  for (const LabelMode mode : {LabelMode::clean, LabelMode::faithful}) {
    const Supervised found = supervise("mistral", mode);
    EXPECT_EQ(found.prompt, "<s>[INST] <image>\nWhat color? [/INST] the  cat </s>[INST] dogs [/INST] 3 </s>");
    EXPECT_EQ(found.generation, "<s>[INST] <image>\nWhat color? [/INST] the  cat </s>[INST] dogs [/INST]");
    EXPECT_EQ(found.text, " the  cat </s> 3 </s>");
  }
}

}  // namespace
}  // namespace retain::framework
