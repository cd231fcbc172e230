// SPDX-License-Identifier: Apache-2.0
// Cuts text into the words that byte pairs may merge within (regular expressions by PCRE2, compiled to machine code).
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace retain::framework {

/// What becomes of the text that a pattern matches.
enum class SplitBehavior : unsigned char {
  isolated,  ///< each match is a word, each gap between two is one
  removed    ///< only the gaps are words
};

/// The split that the original GPT-2 made (encoder.py), which ByteLevel with `use_regex` stands for.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
/// The split of Qwen2 and Qwen2.5 (the `pattern` of their tokenizer.json).
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Steps applied one after another, each to every word of the one before.
class PreTokenizer {
 public:
  PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;
  ~PreTokenizer();

  /// A split at a regular expression in Oniguruma's spelling, or at a literal string. Throws
  /// Error(tokenizer_unsupported) when PCRE2 does not take it.
  void add_split(std::string_view pattern, bool literal, SplitBehavior behavior);
  /// A space in front of every word that has none.
  void add_prefix_space();

  /// Receives a word and the byte of the text where it starts (a prefixed space lies before it).
  using Sink = std::function<void(std::string_view word, std::size_t start)>;
  /// Calls `sink` for every word of well-formed UTF-8, in order. Throws Error(tokenizer_unsupported) when a pattern
  /// exceeds PCRE2's limits on this text.
  void split(std::string_view text, const Sink& sink) const;

 private:
  struct Step;
  std::vector<std::unique_ptr<Step>> steps_;
};

}  // namespace retain::framework
