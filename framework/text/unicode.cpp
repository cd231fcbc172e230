// SPDX-License-Identifier: Apache-2.0
#include "framework/text/unicode.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace retain::framework {
namespace {

/// Python counts the four information separators as white space; ICU's property does not.
bool is_space(UChar32 c) {
  return u_isUWhiteSpace(c) || (c >= 0x1C && c <= 0x1F);
}

icu::UnicodeString from_utf8(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

std::string to_utf8(const icu::UnicodeString& text) {
  std::string bytes;
  text.toUTF8String(bytes);
  return bytes;
}

}  // namespace

std::string to_lower(std::string_view text) {
  return to_utf8(from_utf8(text).toLower(icu::Locale::getRoot()));
}

std::string to_upper(std::string_view text) {
  return to_utf8(from_utf8(text).toUpper(icu::Locale::getRoot()));
}

std::string strip(std::string_view text) {
  const icu::UnicodeString wide = from_utf8(text);
  int32_t begin = 0;
  int32_t end = wide.length();
  while (begin < end && is_space(wide.char32At(begin))) begin = wide.moveIndex32(begin, 1);
  while (end > begin && is_space(wide.char32At(wide.moveIndex32(end, -1)))) end = wide.moveIndex32(end, -1);
  return to_utf8(wide.tempSubStringBetween(begin, end));
}

std::vector<std::string> words_of(std::string_view text) {
  const icu::UnicodeString wide = from_utf8(text);
  std::vector<std::string> words;
  icu::UnicodeString word;
  for (int32_t i = 0; i < wide.length(); i = wide.moveIndex32(i, 1)) {
    const UChar32 c = wide.char32At(i);
    if (!is_space(c)) {
      word.append(c);
    } else if (!word.isEmpty()) {
      words.push_back(to_utf8(word));
      word.remove();
    }
  }
  if (!word.isEmpty()) words.push_back(to_utf8(word));
  return words;
}

std::string with_ascii_digits(std::string_view text) {
  const icu::UnicodeString wide = from_utf8(text);
  icu::UnicodeString mapped;
  for (int32_t i = 0; i < wide.length(); i = wide.moveIndex32(i, 1)) {
    const UChar32 c = wide.char32At(i);
    const int32_t value = u_charDigitValue(c);
    mapped.append(value < 0 ? c : static_cast<UChar32>('0' + value));
  }
  return to_utf8(mapped);
}

std::string collapse_space(std::string_view text) {
  std::string joined;
  for (const std::string& word : words_of(text)) joined += (joined.empty() ? "" : " ") + word;
  return joined;
}

}  // namespace retain::framework
