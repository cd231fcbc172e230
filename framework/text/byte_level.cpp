// SPDX-License-Identifier: Apache-2.0
// The table between bytes and the characters of byte-level vocabularies.
#include "framework/text/byte_level.h"

#include "framework/text/utf8.h"

namespace retain::framework {

ByteLevelAlphabet::ByteLevelAlphabet() {
  bytes_.fill(-1);
  char32_t unprintable = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    const char32_t code_point = itself ? static_cast<char32_t>(byte) : unprintable++;
    append_utf8(characters_[static_cast<std::size_t>(byte)], code_point);
    bytes_[code_point] = static_cast<short>(byte);
  }
}

std::string ByteLevelAlphabet::encode(std::string_view bytes) const {
  std::string text;
  for (const char byte : bytes) text += character(static_cast<unsigned char>(byte));
  return text;
}

std::optional<std::string> ByteLevelAlphabet::decode(std::string_view token) const {
  std::string bytes;
  bytes.reserve(token.size());
  for (std::size_t position = 0; position < token.size();) {
    const char32_t code_point = next_code_point(token, position);
    if (code_point >= bytes_.size() || bytes_[code_point] < 0) return std::nullopt;
    bytes += static_cast<char>(bytes_[code_point]);
  }
  return bytes;
}

}  // namespace retain::framework
