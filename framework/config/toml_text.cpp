// SPDX-License-Identifier: Apache-2.0
#include "framework/config/toml_text.h"

#include <algorithm>
#include <string>

namespace retain::framework {
namespace {

/// Behind the string that begins at `begin`; the end of the line or text where it is not closed.
std::size_t end_of_string(std::string_view text, std::size_t begin) {
  const char quote = text[begin];
  const std::string three(3, quote);
  const bool many_lines = text.substr(begin, 3) == three;
  for (std::size_t i = begin + (many_lines ? 3 : 1); i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (many_lines && text.substr(i, 3) == three) {
      std::size_t end = i + 3;  // a string may end with up to two quotes of its own
      while (end < std::min(i + 5, text.size()) && text[end] == quote) ++end;
      return end;
    } else if (!many_lines && (text[i] == quote || text[i] == '\n')) {
      return i + 1;
    }
  }
  return text.size();
}

}  // namespace

std::optional<std::size_t> stray_character(std::string_view text) {
  std::size_t i = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  while (i < text.size()) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) >= 0x80) return i;
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '"' || c == '\'') {
      i = end_of_string(text, i);
    } else {
      ++i;
    }
  }
  return std::nullopt;
}

}  // namespace retain::framework
