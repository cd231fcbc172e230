// SPDX-License-Identifier: Apache-2.0
// What is looked at in TOML text before it is parsed.
#pragma once
#include <cstddef>
#include <optional>
#include <string_view>

namespace retain::framework {

/// The first byte of a character beyond ASCII that stands outside strings and comments, where TOML 1.0 has none; a byte order
/// mark at the start is none. toml++ 3.3 reaches unreachable code on U+00A1 to U+0499 there instead of refusing them.
std::optional<std::size_t> stray_character(std::string_view text);

}  // namespace retain::framework
