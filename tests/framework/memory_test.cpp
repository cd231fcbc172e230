// SPDX-License-Identifier: Apache-2.0
// What a kept heap holds, and gives back when asked.
#include "framework/base/memory.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/heap.h"

namespace retain::framework {
namespace {

constexpr std::size_t kBlock = 16 << 10, kBlocks = 4096, kHeld = 16;  // 64 MiB, of which every sixteenth block stays

TEST(Memory, FreedPagesAreKeptUntilTheyAreReleased) {
  if (!tests::is_glibc_heap()) GTEST_SKIP() << "not glibc's heap";
  keep_freed_pages();
  std::vector<std::vector<char>> blocks;
  for (std::size_t i = 0; i < kBlocks; ++i) blocks.emplace_back(kBlock, 'x');
  const std::int64_t full = anonymous_bytes();
  for (std::size_t i = 0; i < kBlocks; ++i)
    if (i % kHeld != 0) std::vector<char>().swap(blocks[i]);
  const std::int64_t kept = anonymous_bytes();
  EXPECT_GT(kept, full - (1 << 20));
  release_freed_pages();
  EXPECT_LT(anonymous_bytes(), kept - (48 << 20));
  for (std::size_t i = 0; i < kBlocks; i += kHeld) EXPECT_EQ(blocks[i], std::vector<char>(kBlock, 'x'));
}

TEST(Memory, ThePeakStartsAnew) {
  if (!tests::is_glibc_heap()) GTEST_SKIP() << "not glibc's heap";
  { const std::vector<char> large(64 << 20, 'x'); }
  const std::int64_t high = peak_anonymous_bytes();
  release_freed_pages();
  restart_peak();
  const std::int64_t low = peak_anonymous_bytes();
  EXPECT_LT(low, high - (48 << 20));
  const std::vector<char> again(64 << 20, 'x');
  EXPECT_GT(peak_anonymous_bytes(), low + (60 << 20));
}

}  // namespace
}  // namespace retain::framework
