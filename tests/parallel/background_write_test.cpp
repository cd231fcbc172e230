// SPDX-License-Identifier: Apache-2.0
// Commits and checkpoints written while work goes on: what they hold, when they appear, how they fail.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "framework/base/error.h"
#include "framework/store/progress.h"
#include "framework/store/refs.h"
#include "framework/store/verify.h"
#include "parallel/comm/mpi_communicator.h"
#include "parallel/sharded_store.h"
#include "tests/support/scratch.h"

namespace retain::parallel {
namespace {

using framework::DType;
using framework::Error;
using framework::ErrorKind;

/// A disk whose large writes wait until they are let through, or fail.
class GatedDisk : public framework::FileOperations {
 public:
  void close_gate() {
    const std::lock_guard hold(mutex_);
    open_ = false;
  }
  void open_gate() {
    const std::lock_guard hold(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void fail() { failing_ = true; }
  std::size_t write_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset,
                       const Path& path) override {
    if (bytes.size() >= kLarge) pass(path);
    return FileOperations::write_at(descriptor, bytes, offset, path);
  }
  std::size_t write_direct_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset,
                              const Path& path) override {
    if (bytes.size() >= kLarge) pass(path);
    return FileOperations::write_direct_at(descriptor, bytes, offset, path);
  }

 private:
  static constexpr std::size_t kLarge = 3 << 20;
  void pass(const Path& path) {
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [this] { return open_; });
    if (failing_) throw Error(ErrorKind::io, "cannot write " + path.string() + ": no space left");
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  std::atomic<bool> failing_ = false;
};

/// Rows of 8004 bytes so that slices and chunks do not meet; the large array has at least one chunk for each of 4
/// ranks.
class BackgroundWriteTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world = open_world({.timeout = std::chrono::seconds(60)});
    if (world->rank() == 0) scratch = std::make_unique<tests::Scratch>();
    folder = world->broadcast_text(scratch ? scratch->path().string() : std::string(), 0);
    mesh = std::make_unique<Mesh>(world, MeshShape{1, 1, world->size()});
    std::vector<Range> cuts;
    for (int rank = 0; rank < world->size(); ++rank) cuts.push_back(even_share(9000, world->size(), rank));
    const at::Tensor whole = at::arange(9000 * 2001, at::kFloat).reshape({9000, 2001});
    const Range mine = cuts[static_cast<std::size_t>(world->rank())];
    original = {whole.narrow(0, mine.begin, mine.size()).clone(), at::full({5}, 2.5F)};
    const ParameterSpec large{"large", {9000, 2001}, DType::float32, 0, cuts, {0}};
    const ParameterSpec small{"small", {5}, DType::float32, -1, {}, {0}};
    arrays = {{"tensors/large", large, {}, original[0].clone(), {}, {}},
              {"tensors/small", small, {}, original[1].clone(), {}, {}}};
  }
  void TearDown() override {
    disk.open_gate();
    world->barrier();
  }

  std::unique_ptr<ShardedStore> open(const std::string& name) {
    return std::make_unique<ShardedStore>(folder / name, *mesh, ShardedStore::Access::write, "test", disk);
  }
  std::string commit(ShardedStore& store, std::int64_t number) {
    framework::StageDraft draft;
    draft.inputs = {{"number", number}};
    return store.commit(draft, arrays, "main", "test", [this](const std::string& id) { published.push_back(id); });
  }
  void train() {
    for (ShardedArray& array : arrays) array.local.fill_(-1);
  }
  void expect_original(ShardedStore& store, const std::string& stage) {
    std::vector<Parameter> held;
    for (const ShardedArray& array : arrays) held.push_back({array.spec, at::full_like(array.local, 77)});
    ParameterSet parameters(std::move(held));
    store.read(stage, parameters);
    for (std::size_t i = 0; i < arrays.size(); ++i)
      EXPECT_TRUE(at::equal(parameters.at(arrays[i].spec.name), original[i])) << arrays[i].path;
  }
  bool busy_somewhere(ShardedStore& store) {
    at::Tensor busy = at::full({1}, store.busy() ? 1 : 0, at::kInt);
    world->all_reduce(busy, ReduceOp::max);
    return busy.item<std::int32_t>() == 1;
  }

  std::shared_ptr<Communicator> world;
  std::unique_ptr<tests::Scratch> scratch;
  std::filesystem::path folder;
  std::unique_ptr<Mesh> mesh;
  GatedDisk disk;
  std::vector<at::Tensor> original;
  std::vector<ShardedArray> arrays;
  std::vector<std::string> published;
};

TEST_F(BackgroundWriteTest, TheStageIsWhatWasThereWhenItWasCommitted) {
  const std::string expected = commit(*open("at_once"), 1);
  ASSERT_EQ(published, std::vector<std::string>{expected});
  const auto store = open("background");
  store->write_in_background(true);
  disk.close_gate();
  const std::string id = commit(*store, 1);
  EXPECT_EQ(id, expected) << "the id is known while the bytes are on their way";
  train();
  EXPECT_TRUE(store->busy()) << "every rank has a chunk to write";
  EXPECT_EQ(published.size(), 1U);
  if (world->rank() == 0) {
    EXPECT_FALSE(framework::find_ref(store->store(), "main")) << "nothing is visible yet";
    EXPECT_TRUE(store->store().stage_ids().empty());
  }
  world->barrier();
  disk.open_gate();
  while (busy_somewhere(*store)) std::this_thread::yield();
  EXPECT_TRUE(store->store().stage_ids().empty()) << "still not published";
  world->barrier();
  store->settle();
  EXPECT_EQ(published.size(), 2U);
  EXPECT_EQ(store->resolve("main"), id);
  expect_original(*store, id);
  EXPECT_TRUE(framework::verify(store->store()).clean());
  store->settle();
  EXPECT_EQ(published.size(), 2U) << "there is nothing more to settle";
}

TEST_F(BackgroundWriteTest, OneFileAtATime) {
  const auto store = open("store");
  store->write_in_background(true);
  const std::string first = commit(*store, 1);
  const std::string second = commit(*store, 2);
  EXPECT_EQ(published, std::vector<std::string>{first}) << "the second waited for the first";
  store->put_progress("run", 4, {}, arrays, 1);
  EXPECT_EQ(published, (std::vector<std::string>{first, second}));
  train();
  const auto progress = store->latest_progress("run");
  ASSERT_TRUE(progress) << "asking for it waits for it";
  store->read_progress("run", progress->step, arrays);
  for (std::size_t i = 0; i < arrays.size(); ++i) EXPECT_TRUE(at::equal(arrays[i].local, original[i]));
}

TEST_F(BackgroundWriteTest, AFailureOnOneRankIsThrownOnAllAndLeavesNothing) {
  const auto store = open("store");
  const std::string kept = commit(*store, 1);
  store->write_in_background(true);
  train();
  if (world->rank() == world->size() - 1) disk.fail();
  commit(*store, 2);
  try {
    store->settle();
    ADD_FAILURE() << "the failure vanished";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    EXPECT_NE(std::string(error.what()).find("no space left"), std::string::npos) << error.what();
  }
  world->barrier();
  EXPECT_EQ(store->store().stage_ids(), std::vector<std::string>{kept});
  EXPECT_EQ(store->resolve("main"), kept);
  EXPECT_TRUE(framework::files_in(store->store().root() / "temporary").empty());
  EXPECT_TRUE(framework::verify(store->store()).clean());
}

TEST_F(BackgroundWriteTest, WhatIsUnderWayWhenTheRunEndsIsTakenAway) {
  auto store = open("store");
  store->write_in_background(true);
  disk.close_gate();
  commit(*store, 1);
  disk.open_gate();
  store.reset();
  world->barrier();
  EXPECT_TRUE(published.empty());
  const framework::Store reader = framework::Store::open(folder / "store");
  EXPECT_TRUE(reader.stage_ids().empty());
  EXPECT_TRUE(framework::files_in(reader.root() / "temporary").empty());
}

}  // namespace
}  // namespace retain::parallel
