// SPDX-License-Identifier: Apache-2.0
// From token names back to text for vocabularies that are not byte-level: the steps of tokenizer.json's `decoder`.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

/// Each step turns a list of strings into another, as the Hugging Face library does; the last list is joined.
class TokenDecoder {
 public:
  void add_replacement(std::string from, std::string to);
  /// "<0x0A>" becomes its byte; a run of such tokens that is no UTF-8 becomes one U+FFFD a byte.
  void add_byte_fallback();
  void add_fuse();
  /// Takes up to `begin` and `end` of `character` off both ends of every string.
  void add_strip(std::string character, std::int64_t begin, std::int64_t end);
  /// Marks become spaces; those of the first token vanish where `drops_first`.
  void add_metaspace(std::string mark, bool drops_first);

  std::string decode(std::vector<std::string> tokens) const;

 private:
  enum class Kind : std::uint8_t { replacement, byte_fallback, fuse, strip, metaspace };
  struct Step {
    Kind kind;
    std::string from, to;
    std::int64_t begin = 0, end = 0;
    bool drops_first = false;
  };
  static void apply(const Step& step, std::vector<std::string>& tokens);
  std::vector<Step> steps_;
};

/// The byte that a token such as "<0x0A>" stands for; -1 for another token.
int byte_of_token(std::string_view token);

}  // namespace retain::framework
