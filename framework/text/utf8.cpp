// SPDX-License-Identifier: Apache-2.0
// UTF-8 after table 3-7 of the Unicode standard.
#include "framework/text/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace retain::framework {
namespace {

struct Step {
  std::size_t length;  ///< bytes of the sequence, or of its longest well-formed beginning
  bool valid;
};

/// The sequence at the start of `text`, which is not empty. Second bytes have tighter bounds after E0, ED, F0 and F4.
Step examine(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, true};
  const std::size_t wanted = lead >= 0xC2 && lead <= 0xDF   ? 2
                             : lead >= 0xE0 && lead <= 0xEF ? 3
                             : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                            : 0;
  if (wanted == 0) return {1, false};
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < wanted; ++i) {
    if (i >= text.size()) return {i, false};
    const unsigned char value = byte(i);
    if (value < (i == 1 ? low : 0x80) || value > (i == 1 ? high : 0xBF)) return {i, false};
  }
  return {wanted, true};
}

}  // namespace

std::optional<std::size_t> find_ill_formed_utf8(std::string_view text) {
  std::size_t position = 0;
  while (position < text.size()) {
    std::uint64_t eight = 0;
    if (position + 8 <= text.size()) {
      std::memcpy(&eight, text.data() + position, 8);
      if ((eight & 0x8080808080808080u) == 0) {
        position += 8;
        continue;
      }
    }
    const Step step = examine(text.substr(position, 4));
    if (!step.valid) return position;
    position += step.length;
  }
  return std::nullopt;
}

std::string repair_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t good = find_ill_formed_utf8(bytes).value_or(bytes.size());
    text += bytes.substr(0, good);
    bytes.remove_prefix(good);
    if (bytes.empty()) break;
    text += "\xEF\xBF\xBD";
    bytes.remove_prefix(examine(bytes.substr(0, 4)).length);
  }
  return text;
}

char32_t next_code_point(std::string_view text, std::size_t& position) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const char32_t lead = byte(position);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t value = length == 1 ? lead : lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) value = value << 6 | (byte(position + i) & 0x3F);
  position += length;
  return value;
}

char32_t previous_code_point(std::string_view text, std::size_t& position) {
  do {
    --position;
  } while (position > 0 && (static_cast<unsigned char>(text[position]) & 0xC0) == 0x80);
  std::size_t start = position;
  return next_code_point(text, start);
}

void append_utf8(std::string& text, char32_t c) {
  const auto put = [&](char32_t value) { text += static_cast<char>(static_cast<unsigned char>(value)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

}  // namespace retain::framework
