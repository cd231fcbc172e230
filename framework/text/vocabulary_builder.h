// SPDX-License-Identifier: Apache-2.0
// Fills a tokenizer's tables from a vocabulary and its merges, refusing what contradicts itself.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "framework/base/json.h"
#include "framework/text/tokenizer_parts.h"

namespace retain::framework {

/// How words are merged, besides the merges.
struct MergeRules {
  bool ignore_merges = false;               ///< a word that is a token is never split
  bool byte_fallback = false;               ///< a character without a token becomes the tokens of its bytes
  std::optional<std::string_view> unknown;  ///< name of the token for what has none
  bool fuse_unknown = false;
};

/// Call in order: add_tokens, start_merges, add_merge…, finish. Every member throws Error(tokenizer_invalid).
class VocabularyBuilder {
 public:
  VocabularyBuilder(TokenizerParts& parts, std::string origin) : parts_(parts), origin_(std::move(origin)) {}

  /// {token name: id}
  void add_tokens(const json::object& vocab);
  void start_merges(std::size_t count, const MergeRules& rules);
  /// "a b" or ["a", "b"]; ranks are given in the order of the calls.
  void add_merge(const json::value& merge);
  void add_merge(std::string_view line);
  void finish();

 private:
  void add_piece(std::string_view name, std::int32_t id);
  void add_merge(std::string_view left, std::string_view right);
  std::int32_t token(std::string_view name) const;
  [[noreturn]] void invalid(std::string what, std::string expected, std::string found) const;

  TokenizerParts& parts_;
  std::string origin_;
  std::string joined_;
  std::uint32_t rank_ = 0;
};

}  // namespace retain::framework
