// SPDX-License-Identifier: Apache-2.0
// Tokens that are found in text before anything else splits it: special tokens and others added to a vocabulary.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

/// One entry of tokenizer.json's `added_tokens`.
struct AddedToken {
  std::string content;
  std::int64_t id = 0;
  bool special = false;
  bool normalized = false;   ///< sought in normalised text, in its normalised form
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< takes the white space after it along
  bool single_word = false;  ///< only where no word character touches it
};

/// A stretch of text: an added token, or what lies between two of them.
struct TextSection {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::int64_t id = -1;  ///< the token's, or -1
};

/// Finds added tokens as the Hugging Face library does: leftmost first, the longest of those that start there.
class AddedTokenFinder {
 public:
  /// Seeks `pattern` (not empty) as `token`.
  void add(std::string pattern, const AddedToken& token);
  bool empty() const noexcept { return entries_.empty(); }
  /// Cuts well-formed UTF-8 into sections, in order; empty ones are left out.
  std::vector<TextSection> split(std::string_view text) const;

 private:
  struct Entry {
    std::string pattern;
    AddedToken token;
  };
  const Entry* match_at(std::string_view text, std::size_t position) const;

  std::vector<Entry> entries_;
  std::array<std::vector<std::uint32_t>, 256> by_first_;  ///< entries by first byte, longest first
  std::array<bool, 256> starts_{};
};

}  // namespace retain::framework
