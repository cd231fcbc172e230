// SPDX-License-Identifier: Apache-2.0
// Finds an object key that a JSON text repeats; a parsed document no longer shows it.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace retain::models {

/// The first key that occurs twice in one object of a valid JSON text.
std::optional<std::string> repeated_key(std::string_view text);

}  // namespace retain::models
