// SPDX-License-Identifier: Apache-2.0
// The commit protocol when the power goes: of what no fsync covers anything may be missing, torn or earlier than what was written
// before it. Whatever the disk then holds, the store verifies clean, keeps what it had, and finishes the work when asked again; and
// what a command reported done is there.
#include <gtest/gtest-spi.h>

#include "framework/store/pruned.h"
#include "tests/framework/lossy_files.h"
#include "tests/framework/store_scenarios.h"

namespace retain::framework::testing {
namespace {

namespace fs = std::filesystem;
using Ignored = LossyFiles::Ignored;

/// For what comes after the power is back: no second loss, so no need to wait for the disk.
struct HastyFiles : FileOperations {
  void sync(int, const Path&) override {}
  void sync_directory(const Path&) override {}
} hasty;

/// What a command that has ended promises: contents(), but for older checkpoints, which may come back.
std::string outcome(const Store& store) {
  std::string text = store.resolve("main") + " ";
  for (const std::string& id : store.stage_ids()) text += id + " ";
  for (const std::string& key : result_keys(store)) text += key + " ";
  for (const auto& [id, parents] : pruned_stages(store)) text += "pruned " + id + " ";
  return text + std::to_string(latest_progress(store, "run").step.value_or(-1));
}

/// Of a line of the log that lies in two sectors, either may be missing after the power was lost.
void let_the_next_move_cross_a_sector(const Store& store) {
  constexpr std::uint64_t kBegin = 2 * 512 - 90, kLineWithoutWhy = 160;
  const std::uint64_t before = fs::file_size(store.root() / "log" / "refs.jsonl");
  move_ref(store, StoreLock(store, "test"), RefKind::tag, "long", store.resolve("start"), std::string(kBegin - before - kLineWithoutWhy, '-'));
}

struct PowerLossTest : ::testing::TestWithParam<std::size_t> {
  static void SetUpTestSuite() {
    prepared = std::make_unique<Scratch>();
    prepare(*prepared / "store");
    let_the_next_move_cross_a_sector(Store::open(*prepared / "store"));
  }
  static void TearDownTestSuite() { prepared.reset(); }

  void SetUp() override {
    fs::create_directories(disk);
    start();
    const Store store = Store::open(root, hasty);
    scenario(store, StoreLock(store, "test"));
    expected_contents = contents(store);
    expected_outcome = outcome(store);
    start();
  }

  void start() const { copy_store(*prepared / "store", root); }
  void run(LossyFiles& files) const {
    const Store store = Store::open(root, files);
    scenario(store, StoreLock(store, "test"));
  }
  /// The store as the disk has it after the power was lost now.
  Store lose_power(const LossyFiles& files, double kept) {
    files.rebuild(folder / "after", random, kept);
    return Store::open(folder / "after" / "store", hasty);
  }
  /// Whether the store is intact and, when `ended`, holds what the command promised; without failing the test.
  bool survives(const LossyFiles& files, double kept, bool ended) {
    ::testing::TestPartResultArray failures;
    const ::testing::ScopedFakeTestPartResultReporter reporter(
        ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
    try {
      const Store store = lose_power(files, kept);
      expect_intact(store, "");
      return failures.size() == 0 && (!ended || outcome(store) == expected_outcome);
    } catch (const Error&) {
      return false;
    }
  }

  const std::string name = scenarios()[GetParam()].first;
  const Scenario& scenario = scenarios()[GetParam()].second;
  static inline std::unique_ptr<Scratch> prepared;
  Scratch folder;
  fs::path disk = folder / "disk";
  fs::path root = disk / "store";
  std::string expected_contents, expected_outcome;
  std::mt19937 random{static_cast<unsigned>(GetParam()) + 1};
};

TEST_P(PowerLossTest, AfterAnyChange) {
  LossyFiles files(disk);
  files.after_each = [&] {
    for (const double kept : {0.0, 0.3, 0.5, 0.7, 0.7, 0.9, 1.0}) {
      const std::string when = name + ", power lost after change " + std::to_string(files.changes()) + ", " + std::to_string(kept) + " kept";
      const Store after = lose_power(files, kept);
      expect_intact(after, when);
      const StoreLock lock(after, "test");
      scenario(after, lock);
      expect_intact(after, when + ", run again");
      EXPECT_EQ(contents(after), expected_contents) << when;
    }
  };
  run(files);
  EXPECT_GT(files.changes(), 2);
}

TEST_P(PowerLossTest, WhatIsDoneStays) {
  LossyFiles files(disk);
  run(files);
  for (const double kept : {0.0, 0.5, 0.5, 1.0}) EXPECT_EQ(outcome(lose_power(files, kept)), expected_outcome) << name << ", " << kept;
}

/// A killed process leaves in the page cache what the next one takes for durable.
TEST_P(PowerLossTest, AfterAKillAndTheCommandGivenAgain) {
  bool killed = true;
  for (int at = 1; killed; ++at) {
    start();
    if (name == "progress") fs::remove_all(root / "progress" / "run");  // the first checkpoint makes the folder
    LossyFiles files(disk);
    files.kill_at(at);
    killed = false;
    try {
      run(files);
    } catch (const LossyFiles::Killed&) {
      killed = true;
    }
    files.restart();
    run(files);
    for (const double kept : {0.0, 0.5}) {
      const std::string when = name + ", killed at change " + std::to_string(at) + " and run again, " + std::to_string(kept) + " kept";
      const Store after = lose_power(files, kept);
      expect_intact(after, when);
      EXPECT_EQ(outcome(after), expected_outcome) << when;
    }
  }
}

/// The tests above can fail: without fsync of files, of folders or of both they do.
TEST_P(PowerLossTest, AMissingFsyncIsNoticed) {
  for (const Ignored ignored : {Ignored::files, Ignored::folders, Ignored::all}) {
    if (name == "gc" && ignored == Ignored::files) continue;  // it writes none
    start();
    LossyFiles files(disk, ignored);
    int broken = 0;
    files.after_each = [&] {
      for (const double kept : {0.3, 0.7}) broken += !survives(files, kept, false);
    };
    run(files);
    for (const double kept : {0.0, 0.3, 0.7}) broken += !survives(files, kept, true);
    EXPECT_GT(broken, 0) << name << ", ignored " << static_cast<int>(ignored);
  }
}

INSTANTIATE_TEST_SUITE_P(Scenarios, PowerLossTest, ::testing::Range<std::size_t>(0, scenarios().size()),
                         [](const auto& info) { return scenarios()[info.param].first; });

struct CreationTest : ::testing::Test {
  void SetUp() override { fs::create_directories(disk); }
  std::string create(const fs::path& root, FileOperations& operations) const {
    const Store store = Store::open_or_create(root, operations);
    const StoreLock lock(store, "test");
    const std::string id = base().commit(store, lock, {});
    move_ref(store, lock, RefKind::branch, "main", id, "test");
    return id;
  }
  Scratch folder;
  fs::path disk = folder / "disk";
  fs::path after = folder / "after";
  std::mt19937 random{7};
};

TEST_F(CreationTest, PowerLostAfterAnyChangeLeavesSomethingThatCanBeCreated) {
  LossyFiles files(disk);
  files.after_each = [&] {
    for (const double kept : {0.0, 0.3, 0.7, 0.9, 1.0}) {
      files.rebuild(after, random, kept);
      const std::string when = "change " + std::to_string(files.changes()) + ", " + std::to_string(kept) + " kept";
      EXPECT_NO_THROW(create(after / "store", hasty)) << when;
      EXPECT_TRUE(verify(Store::open(after / "store")).clean()) << when;
    }
  };
  create(disk / "store", files);
}

TEST_F(CreationTest, AfterAKillTheNextRunMakesItLast) {
  bool killed = true;
  for (int at = 1; killed; ++at) {
    fs::remove_all(disk);
    fs::create_directories(disk);
    LossyFiles files(disk);
    files.kill_at(at);
    killed = false;
    try {
      create(disk / "store", files);
    } catch (const LossyFiles::Killed&) {
      killed = true;
    }
    files.restart();
    const std::string id = create(disk / "store", files);
    files.rebuild(after, random, 0);
    ASSERT_TRUE(Store::is_store(after / "store")) << "killed at change " << at;
    EXPECT_EQ(Store::open(after / "store").resolve("main"), id) << "killed at change " << at;
    EXPECT_TRUE(verify(Store::open(after / "store")).clean()) << "killed at change " << at;
  }
}

}  // namespace
}  // namespace retain::framework::testing
