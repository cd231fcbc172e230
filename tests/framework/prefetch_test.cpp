// SPDX-License-Identifier: Apache-2.0
// Prefetching keeps order, bounds what waits, delivers exceptions and ends early without hanging.
#include "framework/image/prefetch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>

namespace retain::framework {
namespace {

void pause_for(std::size_t index) {
  std::this_thread::sleep_for(std::chrono::microseconds((index * 37) % 400));
}

TEST(Prefetch, ResultsComeInOrder) {
  Prefetch<std::unique_ptr<std::size_t>> prefetch(200, 4, 8, [](std::size_t index) {
    pause_for(index);
    return std::make_unique<std::size_t>(index);
  });
  for (std::size_t index = 0; index < 200; ++index) {
    ASSERT_FALSE(prefetch.done());
    EXPECT_EQ(*prefetch.next(), index);
  }
  EXPECT_TRUE(prefetch.done());
}

TEST(Prefetch, NoMoreThanAheadAreHeld) {
  std::atomic<int> begun{0};
  int taken = 0, most = 0;
  Prefetch<int> prefetch(60, 3, 5, [&](std::size_t index) {
    ++begun;
    return static_cast<int>(index);
  });
  while (!prefetch.done()) {
    pause_for(10);
    most = std::max(most, begun.load() - taken);
    prefetch.next();
    ++taken;
  }
  EXPECT_EQ(begun, 60);
  EXPECT_LE(most, 5);
}

TEST(Prefetch, ExceptionsArriveInTheirPlace) {
  Prefetch<std::size_t> prefetch(20, 2, 4, [](std::size_t index) {
    if (index % 7 == 3) throw std::runtime_error(std::to_string(index));
    return index;
  });
  for (std::size_t index = 0; index < 20; ++index) {
    if (index % 7 != 3) {
      EXPECT_EQ(prefetch.next(), index);
      continue;
    }
    try {
      prefetch.next();
      ADD_FAILURE() << index;
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), std::to_string(index));
    }
  }
}

TEST(Prefetch, LeavingEarlyStartsNothingMore) {
  std::atomic<int> begun{0};
  {
    Prefetch<int> prefetch(1000, 2, 3, [&](std::size_t) { return ++begun; });
    prefetch.next();
  }
  EXPECT_LE(begun, 5);
}

TEST(Prefetch, NothingToDo) {
  const Prefetch<int> prefetch(0, 2, 3, [](std::size_t) { return 1; });
  EXPECT_TRUE(prefetch.done());
}

}  // namespace
}  // namespace retain::framework
