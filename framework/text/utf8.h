// SPDX-License-Identifier: Apache-2.0
// UTF-8: validation, repair and stepping.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace retain::framework {

/// Offset of the first byte that is not well-formed UTF-8 (Unicode 15, table 3-7); nothing when all is.
std::optional<std::size_t> find_ill_formed_utf8(std::string_view text);
/// The text with each maximal ill-formed part replaced by U+FFFD, as WHATWG, Python and Rust do.
std::string repair_utf8(std::string_view bytes);
/// The code point at `position` of well-formed text; `position` moves past it.
char32_t next_code_point(std::string_view text, std::size_t& position);
/// The code point that ends at `position` > 0 of well-formed text; `position` moves to its first byte.
char32_t previous_code_point(std::string_view text, std::size_t& position);
void append_utf8(std::string& text, char32_t code_point);

}  // namespace retain::framework
