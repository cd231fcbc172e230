// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648), as tables carry pictures.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace retain::framework {

/// The bytes; nothing when `text` is no base64. White space is passed over, closing "=" may be missing.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace retain::framework
