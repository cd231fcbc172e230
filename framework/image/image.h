// SPDX-License-Identifier: Apache-2.0
// A decoded picture.
#pragma once
#include <cstdint>
#include <vector>

namespace retain::framework {

/// 8-bit RGB, rows from the top, no padding: rgb[(y · width + x) · 3 + channel].
struct Image {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint8_t> rgb;
};

}  // namespace retain::framework
