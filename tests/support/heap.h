// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <malloc.h>

#include <memory>

namespace retain::tests {

/// Whether blocks come from glibc's heap. Not so under sanitizers, which also keep freed blocks for a while.
inline bool is_glibc_heap() {
  constexpr std::size_t kBlock = 64 << 10;
  const std::size_t before = mallinfo2().uordblks;
  const auto block = std::make_unique<char[]>(kBlock);
  return mallinfo2().uordblks >= before + kBlock && block;
}

}  // namespace retain::tests
