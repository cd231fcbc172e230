// SPDX-License-Identifier: Apache-2.0
// One turn of a conversation, before any template.
#pragma once
#include <cstdint>
#include <string>

namespace retain::framework {

enum class Role : std::uint8_t { user, assistant };

/// What one side said; `<image>` in the text marks where a picture goes.
struct Turn {
  Role role = Role::user;
  std::string text;
};

}  // namespace retain::framework
