// SPDX-License-Identifier: Apache-2.0
// The commit protocol under fire: a process is killed before, in the middle of and after every single change to the file
// system, and every change is made to fail; the store must open clean, keep what it had, and finish the work when asked again.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "framework/store/blend.h"
#include "framework/store/gc.h"
#include "framework/store/progress.h"
#include "framework/store/results.h"
#include "framework/store/verify.h"
#include "tests/framework/store_support.h"

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
  std::size_t write_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset, const Path& path) override {
    if (fault_ == Fault::stop_torn && count_ + 1 == at_) {
      FileOperations::write_at(descriptor, bytes.first(bytes.size() / 2), offset, path);
      die();
    }
    return around([&] { return FileOperations::write_at(descriptor, bytes, offset, path); });
  }
  std::size_t write_direct_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset, const Path& path) override {
    if (fault_ == Fault::stop_torn && count_ + 1 == at_) {
      FileOperations::write_direct_at(descriptor, bytes.first(bytes.size() / 8192 * 4096), offset, path);
      die();
    }
    return around([&] { return FileOperations::write_direct_at(descriptor, bytes, offset, path); });
  }
  void resize(int descriptor, std::uint64_t bytes, const Path& path) override {
    around([&] { FileOperations::resize(descriptor, bytes, path); return 0; });
  }
  void sync(int descriptor, const Path& path) override {
    around([&] { FileOperations::sync(descriptor, path); return 0; });
  }
  void rename(const Path& from, const Path& to) override {
    around([&] { FileOperations::rename(from, to); return 0; });
  }
  void remove(const Path& path) override {
    around([&] { FileOperations::remove(path); return 0; });
  }
  bool make_directory(const Path& path) override {
    return around([&] { return FileOperations::make_directory(path); });
  }
  void sync_directory(const Path& path) override {
    around([&] { FileOperations::sync_directory(path); return 0; });
  }

 private:
  Fault fault_;
  int at_;
  int count_ = 0;
};

const std::string kUp = "tensors/language.layers.0.mlp.up_proj.weight";
const std::string kBias = "tensors/language.layers.0.self_attn.q_proj.bias";

Model base() {
  Model model;
  model.add(kUp, DType::bfloat16, {240, 160}, 2);  // large enough for direct writing
  model.add(kBias, DType::float32, {7}, 3);
  return model;
}

Model tuned(std::uint64_t seed) {
  Model model;
  model.add(kUp, DType::bfloat16, {240, 160}, seed);
  return model;
}

/// What one test does to a store that has a base and one stage on branch "main"; it may be repeated after a stop.
using Scenario = std::function<void(const Store&, const StoreLock&)>;

void put_checkpoint(const Store& store, const StoreLock& lock, std::int64_t step) {
  StageDraft draft;
  draft.inputs = {{"step", step}};
  draft.arrays = {{"optimizer/exp_avg/x", DType::float32, {16}}};
  ProgressCommit commit(store, lock, "run", step, draft);
  ExtentWriter writer(store.operations(), store.root(), commit.layout());
  const auto digests = writer.write(0, 0, std::vector<std::byte>(64, static_cast<std::byte>(step)));
  writer.finish();
  commit.publish({digests}, 1);
}

const std::vector<std::pair<std::string, Scenario>>& scenarios() {
  static const std::vector<std::pair<std::string, Scenario>> list{
      {"commit", [](const Store& store, const StoreLock& lock) {
         const std::string parent = StageReader(store, store.resolve("start")).id();
         const std::string id = tuned(20).commit(store, lock, {parent}, {{"step", 2}});
         move_ref(store, lock, RefKind::branch, "main", id, "commit");
       }},
      {"blend", [](const Store& store, const StoreLock& lock) {
         const std::string id = commit_blend(store, lock, store.resolve("start~"), store.resolve("start"), 0.5);
         move_ref(store, lock, RefKind::branch, "main", id, "blend");
       }},
      {"rollback", [](const Store& store, const StoreLock& lock) {
         move_ref(store, lock, RefKind::branch, "main", store.resolve("start~"), "rollback");
       }},
      {"gc", [](const Store& store, const StoreLock& lock) {
         collect_garbage(store, lock, {false, true});
       }},
      {"progress", [](const Store& store, const StoreLock& lock) {
         put_checkpoint(store, lock, 1);
         put_checkpoint(store, lock, 2);
       }},
      {"result", [](const Store& store, const StoreLock& lock) { put_result(store, lock, "score", {{"value", 1}}); }},
  };
  return list;
}

void prepare(const std::filesystem::path& root) {
  const Store store = Store::open_or_create(root);
  const StoreLock lock(store, "prepare");
  const std::string first = base().commit(store, lock, {});
  const std::string second = tuned(10).commit(store, lock, {first}, {{"step", 1}});
  tuned(77).commit(store, lock, {first}, {{"stray", true}});
  move_ref(store, lock, RefKind::branch, "main", second, "prepare");
  move_ref(store, lock, RefKind::tag, "start", second, "prepare");
  put_checkpoint(store, lock, 0);
}

/// What must hold at any time: all digests match, the tagged stage and its parent read back whole, the newest checkpoint
/// is one of those written, and the branch leads to a stage.
void expect_intact(const Store& store, const std::string& when) {
  const VerifyReport report = verify(store);
  EXPECT_TRUE(report.clean()) << when << ": " << report.problems.front();
  const StageReader start(store, store.resolve("start"));
  EXPECT_EQ(start.read_all(kUp.substr(8)), tuned(10).bytes.at(kUp)) << when;
  EXPECT_EQ(start.read_all(kBias.substr(8)), base().bytes.at(kBias)) << when;
  EXPECT_NO_THROW(StageReader(store, store.resolve("main"))) << when;
  const LatestProgress progress = latest_progress(store, "run");
  EXPECT_TRUE(progress.step && progress.damaged.empty()) << when << ": a checkpoint was lost";
}

std::string contents(const Store& store) {
  std::string text = store.resolve("main") + " ";
  for (const std::string& id : store.stage_ids()) text += id + " ";
  for (const std::int64_t step : progress_steps(store, "run")) text += std::to_string(step) + " ";
  for (const std::string& key : result_keys(store)) text += key + " ";
  return text;
}

void copy_store(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

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
  for (const auto fault : {FaultyFiles::Fault::stop_before, FaultyFiles::Fault::stop_torn, FaultyFiles::Fault::stop_after})
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

INSTANTIATE_TEST_SUITE_P(Scenarios, StoreFaultTest, ::testing::Range<std::size_t>(0, 6),
                         [](const auto& info) { return scenarios()[info.param].first; });

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
