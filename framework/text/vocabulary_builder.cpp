// SPDX-License-Identifier: Apache-2.0
// Vocabulary and merges into hash tables, with every contradiction named.
#include "framework/text/vocabulary_builder.h"

#include <utility>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

/// Ids index arrays, so a wild one must not size them; the largest public vocabularies have a quarter million.
constexpr std::int64_t kIdLimit = std::int64_t{1} << 22;

}  // namespace

void VocabularyBuilder::invalid(std::string what, std::string expected, std::string found) const {
  throw Error(ErrorKind::tokenizer_invalid, {origin_ + ": " + std::move(what), std::move(expected), std::move(found),
                                             "download the model's tokenizer files again"});
}

void VocabularyBuilder::add_tokens(const json::object& vocab) {
  parts_.cuts_runs = true;
  parts_.names.reserve(vocab.size());
  if (parts_.metaspace) parts_.pieces.reserve(vocab.size());
  parts_.bytes.reserve(vocab.size());
  for (const auto& [name, value] : vocab) {
    const std::int64_t id = value.is_int64() ? value.get_int64() : -1;
    if (id < 0 || id >= kIdLimit)
      invalid("token " + json::serialize(json::string(name)) + " has no usable id",
              "a whole number from 0 to " + std::to_string(kIdLimit - 1), json::serialize(value));
    if (!parts_.names.add(name, static_cast<std::int32_t>(id)))
      invalid("two tokens have id " + std::to_string(id), "one token an id",
              std::string(parts_.names.bytes_of(id)) + " and " + std::string(name));
    if (parts_.metaspace) {
      add_piece(name, static_cast<std::int32_t>(id));
    } else if (const auto bytes = parts_.alphabet.decode(name)) {
      parts_.bytes.add(*bytes, static_cast<std::int32_t>(id));
    } else {
      parts_.bytes.add_hidden(name, static_cast<std::int32_t>(id));
    }
  }
  if (vocab.empty()) invalid("the vocabulary is empty", "at least one token", "none");
}

void VocabularyBuilder::add_piece(std::string_view name, std::int32_t id) {
  const std::string_view mark = parts_.metaspace->mark();
  parts_.pieces.add(name, id);
  if (const int byte = byte_of_token(name); byte >= 0) {
    parts_.bytes.add_hidden(std::string(1, static_cast<char>(byte)), id);
    return;
  }
  TrackedText text(name);
  text.replace_all(mark, " ");
  parts_.bytes.add_hidden(text.view(), id);
  for (std::size_t at = name.find(mark, 1); at != std::string_view::npos; at = name.find(mark, at + 1))
    if (!name.substr(0, at).ends_with(mark)) parts_.cuts_runs = false;
}

void VocabularyBuilder::start_merges(std::size_t count, const MergeRules& rules) {
  BytePairEncoder::Unknown policy;
  if (rules.unknown.has_value()) policy = {token(*rules.unknown), rules.fuse_unknown};
  using Units = BytePairEncoder::Units;
  const Units units = !parts_.metaspace     ? Units::bytes
                      : rules.byte_fallback ? Units::characters_or_bytes
                                            : Units::characters;
  parts_.encoder.emplace(parts_.metaspace ? parts_.pieces : parts_.bytes, units, rules.ignore_merges, policy);
  parts_.encoder->reserve(count);
}

std::int32_t VocabularyBuilder::token(std::string_view name) const {
  const std::int32_t id = parts_.names.find(name);
  if (id < 0)
    invalid("a merge or the unknown token names a token that is not in the vocabulary", "a token of the vocabulary",
            json::serialize(json::string(name)));
  return id;
}

void VocabularyBuilder::add_merge(std::string_view left, std::string_view right) {
  joined_.assign(left).append(right);
  parts_.encoder->add_merge(token(left), token(right), rank_++, token(joined_));
}

void VocabularyBuilder::add_merge(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos)
    invalid("merge " + std::to_string(rank_) + " cannot be read", "two tokens with one space between",
            json::serialize(json::string(line.substr(0, 100))));
  add_merge(line.substr(0, space), line.substr(space + 1));
}

void VocabularyBuilder::add_merge(const json::value& merge) {
  if (const auto* line = merge.if_string()) return add_merge(std::string_view(*line));
  const auto* pair = merge.if_array();
  if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string())
    invalid("merge " + std::to_string(rank_) + " cannot be read", "\"a b\" or [\"a\", \"b\"]",
            json::serialize(merge).substr(0, 100));
  add_merge(std::string_view((*pair)[0].get_string()), std::string_view((*pair)[1].get_string()));
}

void VocabularyBuilder::finish() {
  parts_.encoder->finish();
}

}  // namespace retain::framework
