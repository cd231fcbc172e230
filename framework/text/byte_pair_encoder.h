// SPDX-License-Identifier: Apache-2.0
// Byte-pair merging of single words (Sennrich et al. 2016) with a rank per merge.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "framework/text/token_table.h"

namespace retain::framework {

/// The merges of a vocabulary. encode() is thread-safe.
class BytePairEncoder {
 public:
  /// What a unit without a token becomes.
  struct Unknown {
    std::int32_t id = -1;  ///< -1: it is left out, as the Hugging Face library does
    bool fuse = false;     ///< neighbouring unknown units become one
  };

  /// What a word is made of before any merge.
  enum class Units : std::uint8_t {
    bytes,               ///< `tokens` holds raw bytes
    characters,          ///< `tokens` holds UTF-8; a character without a token is unknown
    characters_or_bytes  ///< the same, but it becomes the tokens "<0x00>" to "<0xFF>" of its bytes where all are there
  };

  /// `tokens`: every token, which must outlive this. `ignore_merges`: a word that is a token is never split.
  BytePairEncoder(const TokenTable& tokens, Units units, bool ignore_merges, Unknown unknown);

  void reserve(std::size_t merges);
  /// Merges `left` `right` into `result`; a lower rank goes first. A pair that was added before takes the new rank.
  void add_merge(std::int32_t left, std::int32_t right, std::uint32_t rank, std::int32_t result);
  /// Call once after the last merge.
  void finish();

  /// Appends the ids of `word`, and when `starts` is given the byte where each starts plus `offset`.
  void encode(std::string_view word, std::vector<std::int64_t>& ids, std::vector<std::int64_t>* starts,
              std::int64_t offset) const;
  /// The token of a single byte, or -1.
  std::int32_t id_of_byte(unsigned char byte) const {
    return byte_ids_[byte] >= 0 || units_ != Units::characters_or_bytes ? byte_ids_[byte] : byte_names_[byte];
  }

 private:
  static constexpr std::uint32_t kNever = 0xFFFFFFFF;
  struct Merge {
    std::uint64_t pair = ~std::uint64_t{0};
    std::uint32_t rank = kNever;
    std::int32_t result = -1;
  };
  struct Symbol {
    std::int32_t id;
    std::uint32_t start;
    std::uint32_t rank;   ///< of merging with the next symbol
    std::int32_t merged;  ///< what that merge gives
  };

  const Merge* find(std::int32_t left, std::int32_t right) const;
  void rate(Symbol& symbol, std::int32_t next) const;
  /// Fills `symbols`, which has room for one a byte, with the word's units; returns how many.
  std::size_t first_symbols(std::string_view word, Symbol* symbols) const;
  std::size_t first_bytes(std::string_view word, Symbol* symbols) const;
  std::size_t first_characters(std::string_view word, Symbol* symbols) const;
  bool push_byte_tokens(std::string_view character, std::size_t start, Symbol* symbols, std::size_t& count) const;
  std::size_t merge_short(Symbol* symbols, std::size_t count) const;
  std::size_t merge_long(std::vector<Symbol>& symbols) const;
  bool is_whole(std::int32_t id, std::string_view word) const;

  const TokenTable* tokens_;
  Units units_;
  bool ignore_merges_;
  Unknown unknown_;
  std::array<std::int32_t, 256> byte_ids_{};    ///< the token that is this byte, or -1
  std::array<std::int32_t, 256> byte_names_{};  ///< the token "<0xNN>" of this byte, or -1
  std::vector<Merge> merges_;                   ///< open addressing, a power of two
  std::size_t merge_count_ = 0;
  /// Per token: 0 not known yet, 1 merging its bytes gives the token itself, 2 it does not. Filled in as words come.
  std::unique_ptr<std::atomic<std::uint8_t>[]> whole_;
};

}  // namespace retain::framework
