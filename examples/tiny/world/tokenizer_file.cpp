// SPDX-License-Identifier: Apache-2.0
// Training the tiny world's byte-level BPE (Sennrich et al., "Neural machine translation of rare words with subword
// units", ACL 2016; bytes as printable characters after GPT-2).
#include "examples/tiny/world/tokenizer_file.h"

#include <array>
#include <map>
#include <utility>
#include <vector>

#include "framework/base/error.h"

namespace retain::tiny {
namespace {

namespace json = framework::json;
using Word = std::vector<std::string>;
using Pair = std::pair<std::string, std::string>;

constexpr std::array<std::string_view, 4> kSpecials{"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"};
constexpr std::string_view kSplit =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// A code point below U+0800 as UTF-8.
std::string utf8(int code) {
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

// GPT-2's printable stand-in of every byte: itself where it can be seen, otherwise U+0100 and up in order.
std::array<std::string, 256> byte_symbols() {
  std::array<std::string, 256> symbols;
  int hidden = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const bool seen = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    symbols[static_cast<std::size_t>(byte)] = utf8(seen ? byte : 256 + hidden++);
  }
  return symbols;
}

std::vector<Word> split(const std::set<std::string>& texts) {
  const std::array<std::string, 256> symbols = byte_symbols();
  std::vector<Word> words;
  for (const std::string& text : texts) {
    Word word;
    for (const char c : text) word.push_back(symbols[static_cast<unsigned char>(c)]);
    words.push_back(std::move(word));
  }
  return words;
}

// The most frequent pair; the smallest of equals. Both empty when every word is one symbol.
Pair best_pair(const std::vector<Word>& words) {
  std::map<Pair, int> counts;
  for (const Word& word : words) {
    for (std::size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
  }
  Pair best;
  int most = 0;
  for (const auto& [pair, count] : counts) {
    if (count > most) best = pair, most = count;
  }
  return best;
}

void merge(Word& word, const Pair& pair) {
  Word merged;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool here = i + 1 < word.size() && word[i] == pair.first && word[i + 1] == pair.second;
    merged.push_back(here ? word[i] + word[i + 1] : word[i]);
    if (here) ++i;
  }
  word = std::move(merged);
}

json::object special_token(std::string_view content, std::int64_t id) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

json::object byte_level(bool as_decoder) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", as_decoder}, {"trim_offsets", as_decoder}, {"use_regex", as_decoder}};
}

json::object document(json::object vocabulary, json::array merges) {
  const auto plain = static_cast<std::int64_t>(vocabulary.size());
  json::array specials;
  for (std::size_t i = 0; i < kSpecials.size(); ++i)
    specials.push_back(special_token(kSpecials[i], plain + static_cast<std::int64_t>(i)));
  const json::object split_by{
      {"type", "Split"}, {"pattern", {{"Regex", kSplit}}}, {"behavior", "Isolated"}, {"invert", false}};
  json::object model{{"type", "BPE"},
                     {"dropout", nullptr},
                     {"unk_token", nullptr},
                     {"continuing_subword_prefix", nullptr},
                     {"end_of_word_suffix", nullptr},
                     {"fuse_unk", false},
                     {"byte_fallback", false},
                     {"ignore_merges", false},
                     {"vocab", std::move(vocabulary)},
                     {"merges", std::move(merges)}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(specials)},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", json::array{split_by, byte_level(false)}}}},
          {"post_processor", nullptr},
          {"decoder", byte_level(true)},
          {"model", std::move(model)}};
}

}  // namespace

void TokenizerBuilder::add_text(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (!letter(text[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && letter(text[end])) ++end;
    const bool joined =
        i > 0 && text[i - 1] != '\n' && text[i - 1] != '\r' && !(text[i - 1] >= '0' && text[i - 1] <= '9');
    words_.insert(std::string(text.substr(joined ? i - 1 : i, end - i + (joined ? 1 : 0))));
    i = end;
  }
}

json::object TokenizerBuilder::build() const {
  json::object vocabulary;
  for (const std::string& symbol : byte_symbols()) vocabulary.emplace(symbol, vocabulary.size());
  json::array merges;
  std::vector<Word> words = split(words_);
  for (Pair pair = best_pair(words); !pair.first.empty(); pair = best_pair(words)) {
    for (Word& word : words) merge(word, pair);
    vocabulary.emplace(pair.first + pair.second, vocabulary.size());
    merges.push_back(json::array{json::string(pair.first), json::string(pair.second)});
  }
  return document(std::move(vocabulary), std::move(merges));
}

TokenizerBuilder::Ids TokenizerBuilder::ids(const json::object& tokenizer) {
  const auto first = static_cast<std::int64_t>(tokenizer.at("model").at("vocab").as_object().size());
  return {first, first + 2, first + 3, first + static_cast<std::int64_t>(kSpecials.size())};
}

}  // namespace retain::tiny
