// SPDX-License-Identifier: Apache-2.0
// The time of day as text, for notes to people. Nothing in the store is decided by it.
#pragma once
#include <string>

namespace retain::framework {

/// "2026-11-22T13:05:00Z".
std::string time_text();

}  // namespace retain::framework
