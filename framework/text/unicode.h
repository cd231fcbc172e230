// SPDX-License-Identifier: Apache-2.0
// Unicode text as Python's str sees it: lower case, white space, words.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

/// Lower case by Unicode's full mapping (ICU, no locale). Invalid UTF-8 becomes U+FFFD.
std::string to_lower(std::string_view text);
/// Upper case, likewise.
std::string to_upper(std::string_view text);
/// Without the Unicode white space at both ends.
std::string strip(std::string_view text);
/// The runs of text between Unicode white space.
std::vector<std::string> words_of(std::string_view text);
/// Words joined by single spaces.
std::string collapse_space(std::string_view text);
/// Every decimal digit (category Nd: "３", "٣", "३") as the ASCII digit of its value, as Python's int() and float() read them.
std::string with_ascii_digits(std::string_view text);

}  // namespace retain::framework
