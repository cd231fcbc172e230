// SPDX-License-Identifier: Apache-2.0
// The processes of one run in one store. Locks belong to open files, so threads with a lock each stand for processes.
#include "framework/store/store_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <thread>

#include "framework/store/refs.h"
#include "tests/framework/store_support.h"

namespace retain::framework::testing {
namespace {

class SharedLock : public ::testing::Test {
 protected:
  Scratch folder;
  Store store = Store::open_or_create(folder.path() / "store");
};

TEST_F(SharedLock, LetsMembersInOnceAdmittedEachOnce) {
  StoreLock first(store, "the run");
  EXPECT_FALSE(first.is_shared());
  EXPECT_EQ(kind_of([&] { StoreLock::join(store, 1); }), ErrorKind::store_locked) << "nobody was admitted";
  first.admit();
  const StoreLock second = StoreLock::join(store, 1), third = StoreLock::join(store, 2);
  EXPECT_TRUE(first.is_shared() && second.is_shared());
  EXPECT_EQ(kind_of([&] { StoreLock::join(store, 2); }), ErrorKind::store_locked);
  EXPECT_EQ(kind_of([&] { StoreLock::join(store, 0); }), ErrorKind::internal);
}

TEST_F(SharedLock, KeepsAnotherRunOutWhileAnyMemberLives) {
  std::optional<StoreLock> member;
  {
    StoreLock first(store, "the run");
    first.admit();
    EXPECT_EQ(kind_of([&] { StoreLock(store, "another"); }), ErrorKind::store_locked);
    member.emplace(StoreLock::join(store, 3));
  }
  EXPECT_EQ(kind_of([&] { StoreLock(store, "another"); }), ErrorKind::store_locked) << "a member lives on";
  member.reset();
  EXPECT_NO_THROW(StoreLock(store, "another"));
}

TEST_F(SharedLock, TakesTurnsAtTheLogOfRefs) {
  StoreLock first(store, "the run");
  first.admit();
  Model model;
  model.add("tensors/language.norm.weight", DType::float32, {7}, 1);
  const std::string a = model.commit(store, first, {}), b = model.commit(store, first, {a}, {{"step", 1}});
  constexpr int kMoves = 50;
  const auto move_often = [&](const StoreLock& lock, const std::string& branch) {
    for (int i = 0; i < kMoves; ++i) move_ref(store, lock, RefKind::branch, branch, i % 2 == 0 ? a : b, "test");
  };
  const StoreLock second = StoreLock::join(store, 1);
  std::jthread other([&] { move_often(second, "other"); });
  move_often(first, "one");
  other.join();
  std::size_t damaged = 0;
  EXPECT_EQ(ref_moves(store, &damaged).size(), 2U * kMoves) << "no move overwrote another";
  EXPECT_EQ(damaged, 0U);
  EXPECT_EQ(find_ref(store, "one")->stage, b);
  EXPECT_EQ(find_ref(store, "other")->stage, b);
}

TEST_F(SharedLock, MarksAreOneProcesss) {
  StoreLock first(store, "the run");
  first.admit();
  const StoreLock second = StoreLock::join(store, 1);
  RunMarks mine(first), others(second);
  EXPECT_FALSE(mine.is_taken("stage 1"));
  EXPECT_TRUE(mine.take("stage 1"));
  EXPECT_TRUE(mine.take("stage 1")) << "its own";
  EXPECT_FALSE(others.take("stage 1"));
  EXPECT_TRUE(others.take("stage 2"));
  EXPECT_TRUE(mine.is_taken("stage 1") && mine.is_taken("stage 2") && others.is_taken("stage 1") && others.is_taken("stage 2"));
  others.give_back("stage 1");
  EXPECT_TRUE(others.is_taken("stage 1")) << "not its own to give";
  mine.give_back("stage 1");
  EXPECT_TRUE(others.take("stage 1"));
}

TEST_F(SharedLock, MarksEndWithTheProcess) {
  StoreLock first(store, "the run");
  first.admit();
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const StoreLock member = StoreLock::join(store, 1);
    RunMarks marks(member);
    const char byte = marks.take("stage 1") ? 1 : 0;
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 1);
  RunMarks marks(first);
  EXPECT_TRUE(marks.is_taken("stage 1"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(marks.is_taken("stage 1"));
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace retain::framework::testing
