// SPDX-License-Identifier: Apache-2.0
// A byte-level BPE tokenizer in which every word of a text is one token, as Hugging Face's tokenizer.json.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "framework/base/json.h"

namespace retain::tiny {

class TokenizerBuilder {
 public:
  /// Notes every run of ASCII letters, with the one character that Qwen2's pre-tokenizer joins to it in front.
  void add_text(std::string_view text);

  /// Merges the most frequent pair of symbols over the noted words, each counted once, until every word is one token.
  /// Ids: 256 bytes, merges in order, then <|endoftext|>, <|im_start|>, <|im_end|>, <image>.
  framework::json::object build() const;

  /// Ids of the special tokens and the number of all tokens, of the last build().
  struct Ids {
    std::int64_t end_of_text = 0, turn_end = 0, image = 0, count = 0;
  };
  static Ids ids(const framework::json::object& tokenizer);

 private:
  std::set<std::string> words_;
};

}  // namespace retain::tiny
