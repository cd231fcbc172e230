// SPDX-License-Identifier: Apache-2.0
#include "recipes/probes/number_tokens.h"

#include "framework/text/regex.h"

namespace retain::recipes {

bool is_number_text(std::string_view text) {
  static const framework::Regex kNumber(
      R"(\A\s*(?:[0-9]+(?:st|nd|rd|th)?|[0-9]+(?:[.,][0-9]+)+)"
      R"(|(?i:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen)"
      R"(|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion))\s*\z)");
  return !kNumber.search(text).empty();
}

std::vector<std::int64_t> number_tokens(const framework::Tokenizer& tokenizer) {
  std::vector<std::int64_t> ids;
  for (std::int64_t id = 0; id < tokenizer.id_limit(); ++id)
    if (!tokenizer.is_special(id) && is_number_text(tokenizer.bytes_of(id))) ids.push_back(id);
  return ids;
}

}  // namespace retain::recipes
