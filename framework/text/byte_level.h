// SPDX-License-Identifier: Apache-2.0
// The printable characters that byte-level vocabularies write bytes with (GPT-2's encoder.py: bytes_to_unicode).
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace retain::framework {

/// Two-way table between the 256 bytes and their characters: printable Latin-1 stands for itself, the other 68 bytes
/// take U+0100 onwards in order.
class ByteLevelAlphabet {
 public:
  ByteLevelAlphabet();

  /// The character of a byte, in UTF-8.
  std::string_view character(unsigned char byte) const { return characters_[byte]; }
  /// Bytes written with their characters.
  std::string encode(std::string_view bytes) const;
  /// The bytes that `token` (well-formed UTF-8) writes; nothing when one of its characters stands for no byte.
  std::optional<std::string> decode(std::string_view token) const;

 private:
  std::array<std::string, 256> characters_;
  std::array<short, 324> bytes_;  ///< byte of each code point below U+0144, or -1
};

}  // namespace retain::framework
