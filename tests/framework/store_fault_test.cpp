// SPDX-License-Identifier: Apache-2.0
// The commit protocol under fire: a process is killed before, in the middle of and after every single change to the
// file system, and every change is made to fail; the store must open clean, keep what it had, and finish the work when
// asked again.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/framework/store_scenarios.h"

namespace retain::framework::testing {
namespace {

/// Counts changes to the file system and does something at the chosen one.
class FaultyFiles : public FileOperations {
 private:
  [[noreturn]] static void die() {
    ::kill(::getpid(), SIGKILL);
    ::_exit(1);
  }
  template <typename Action>
  auto around(Action action) {
    ++count_;
    if (count_ == at_ && (fault_ == Fault::stop_before || fault_ == Fault::stop_torn)) die();
    if (count_ == at_ && fault_ == Fault::fail) throw Error(ErrorKind::io, "no space left on device (injected)");
    auto result = action();
    if (count_ == at_ && fault_ == Fault::stop_after) die();
    return result;
  }

 public:
  enum class Fault { none, stop_before, stop_torn, stop_after, fail };
  FaultyFiles(Fault fault, int at) : fault_(fault), at_(at) {}
  int changes() const { return count_; }

  int open(const Path& path, int flags, mode_t mode) override {
    if (!(flags & 0100)) return FileOperations::open(path, flags, mode);  // O_CREAT
    return around([&] { return FileOperations::open(path, flags, mode); });
  }
  std::size_t write_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset,
                       const Path& path) override {
    if (fault_ == Fault::stop_torn && count_ + 1 == at_) {
      FileOperations::write_at(descriptor, bytes.first(bytes.size() / 2), offset, path);
      die();
    }
    return around([&] { return FileOperations::write_at(descriptor, bytes, offset, path); });
  }
  std::size_t write_direct_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset,
                              const Path& path) override {
    if (fault_ == Fault::stop_torn && count_ + 1 == at_) {
      FileOperations::write_direct_at(descriptor, bytes.first(bytes.size() / 8192 * 4096), offset, path);
      die();
    }
    return around([&] { return FileOperations::write_direct_at(descriptor, bytes, offset, path); });
  }
  void close(int descriptor, const Path& path) override {
    around([&] {
      FileOperations::close(descriptor, path);
      return 0;
    });
  }
  void reserve(int descriptor, std::uint64_t bytes, const Path& path) override {
    around([&] {
      FileOperations::reserve(descriptor, bytes, path);
      return 0;
    });
  }
  void resize(int descriptor, std::uint64_t bytes, const Path& path) override {
    around([&] {
      FileOperations::resize(descriptor, bytes, path);
      return 0;
    });
  }
  void sync(int descriptor, const Path& path) override {
    around([&] {
      FileOperations::sync(descriptor, path);
      return 0;
    });
  }
  void rename(const Path& from, const Path& to) override {
    around([&] {
      FileOperations::rename(from, to);
      return 0;
    });
  }
  void remove(const Path& path) override {
    around([&] {
      FileOperations::remove(path);
      return 0;
    });
  }
  bool make_directory(const Path& path) override {
    return around([&] { return FileOperations::make_directory(path); });
  }
  void sync_directory(const Path& path) override {
    around([&] {
      FileOperations::sync_directory(path);
      return 0;
    });
  }

 private:
  Fault fault_;
  int at_;
  int count_ = 0;
};

class StoreFaultTest : public ::testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override { prepare(folder.path() / "prepared"); }

  std::string undisturbed(const Scenario& scenario, int& changes) {
    copy_store(folder.path() / "prepared", root);
    FaultyFiles files(FaultyFiles::Fault::none, 0);
    const Store store = Store::open(root, files);
    scenario(store, StoreLock(store, "test"));
    changes = files.changes();
    return contents(store);
  }

  Scratch folder;
  std::filesystem::path root = folder.path() / "store";
};

TEST_P(StoreFaultTest, KilledAtEveryChange) {
  const auto& [name, scenario] = scenarios()[GetParam()];
  int changes = 0;
  const std::string expected = undisturbed(scenario, changes);
  ASSERT_GT(changes, 2);
  for (const auto fault :
       {FaultyFiles::Fault::stop_before, FaultyFiles::Fault::stop_torn, FaultyFiles::Fault::stop_after})
    for (int at = 1; at <= changes; ++at) {
      copy_store(folder.path() / "prepared", root);
      const pid_t child = ::fork();
      if (child == 0) {
        FaultyFiles files(fault, at);
        const Store store = Store::open(root, files);
        scenario(store, StoreLock(store, "test"));
        ::_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      ASSERT_TRUE(WIFSIGNALED(status)) << name << " ended before change " << at;
      const std::string when = name + " stopped at change " + std::to_string(at) + " of " + std::to_string(changes);
      const Store store = Store::open(root);
      expect_intact(store, when);
      const StoreLock lock(store, "test");
      scenario(store, lock);
      expect_intact(store, when + ", run again");
      EXPECT_EQ(contents(store), expected) << when;
      collect_garbage(store, lock, {false, true});
      EXPECT_TRUE(files_in(root / "temporary").empty()) << when;
      expect_intact(store, when + ", collected");
    }
}

TEST_P(StoreFaultTest, EveryChangeFails) {
  const auto& [name, scenario] = scenarios()[GetParam()];
  int changes = 0;
  const std::string expected = undisturbed(scenario, changes);
  for (int at = 2; at <= changes; ++at) {  // the first two open and note the lock
    copy_store(folder.path() / "prepared", root);
    const std::string when = name + " with change " + std::to_string(at) + " failing";
    FaultyFiles files(FaultyFiles::Fault::fail, at);
    const Store store = Store::open(root, files);
    EXPECT_EQ(kind_of([&] { scenario(store, StoreLock(store, "test")); }), ErrorKind::io) << when;
    const Store after = Store::open(root);
    expect_intact(after, when);
    const StoreLock lock(after, "test");
    scenario(after, lock);
    EXPECT_EQ(contents(after), expected) << when;
  }
}

INSTANTIATE_TEST_SUITE_P(Scenarios, StoreFaultTest, ::testing::Range<std::size_t>(0, scenarios().size()),
                         [](const auto& info) { return scenarios()[info.param].first; });

TEST(ExtentWriterTest, AnErrorOfClosingIsThrown) {
  struct Unclosable : FileOperations {
    void close(int descriptor, const Path& path) override {
      FileOperations::close(descriptor, path);
      throw Error(ErrorKind::io, "quota exceeded (injected)");  // as NFS says at close(2)
    }
  } operations;
  Scratch folder;
  { std::ofstream(folder.path() / "file") << "x"; }
  const StageLayout layout{"file", {{{"tensors/x", DType::float32, {4}}, {}, {}, 0, {}}}};
  EXPECT_EQ(kind_of([&] { ExtentWriter(operations, folder.path(), layout).finish(); }), ErrorKind::io);
  EXPECT_NO_THROW(ExtentWriter(operations, folder.path(), layout)) << "a destructor must not throw: the process would end";
}

TEST(StoreCreation, AStopAtAnyChangeLeavesSomethingThatCanBeCreated) {
  Scratch folder;
  for (int at = 1; at < 40; ++at) {
    const std::filesystem::path root = folder.path() / std::to_string(at);
    const pid_t child = ::fork();
    if (child == 0) {
      FaultyFiles files(FaultyFiles::Fault::stop_after, at);
      Store::open_or_create(root, files);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    const Store store = Store::open_or_create(root);
    EXPECT_NO_THROW(base().commit(store, StoreLock(store, "test"), {})) << at;
    if (WIFEXITED(status)) return;
  }
  ADD_FAILURE() << "creating a store takes too many changes";
}

TEST(StoreSpace, TooLittleIsToldBeforeAnythingIsWritten) {
  struct Full : FileOperations {
    std::uint64_t free_bytes(const Path&) override { return 100'000; }
  } full;
  Scratch folder;
  const Store store = Store::open_or_create(folder.path() / "store", full);
  const StoreLock lock(store, "test");
  try {
    base_model().commit(store, lock, {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    EXPECT_NE(std::string(error.what()).find("100000 bytes"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(files_in(store.root() / "temporary").empty());
}

}  // namespace
}  // namespace retain::framework::testing
