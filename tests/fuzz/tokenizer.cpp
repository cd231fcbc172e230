// SPDX-License-Identifier: Apache-2.0
// tokenizer.json, then text through whatever tokenizer came of it; the input is the file, a zero byte, the text.
#include <algorithm>

#include "framework/base/json.h"
#include "framework/text/tokenizer.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static retain::fuzz::ScratchFile file("tokenizer.json");
  const std::size_t cut = static_cast<std::size_t>(std::find(data, data + size, std::uint8_t{0}) - data);
  return retain::fuzz::expect_error_or_success([&] {
    const auto tokenizer = retain::framework::Tokenizer::load(file.write(data, cut));
    const std::string_view text = cut < size ? retain::fuzz::text_of(data + cut + 1, size - cut - 1) : "two words";
    const auto ids = tokenizer.encode(text);
    tokenizer.decode(ids, false);
  });
}
