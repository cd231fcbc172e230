// SPDX-License-Identifier: Apache-2.0
// The 32 marks of Python's string.punctuation.
#pragma once
#include <string>

namespace retain::framework {

constexpr bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

inline std::string without_punctuation(std::string text) {
  std::erase_if(text, is_ascii_punctuation);
  return text;
}

}  // namespace retain::framework
