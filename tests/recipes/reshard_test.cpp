// SPDX-License-Identifier: Apache-2.0
// A run that stops on one mesh and goes on on another: the same weights and optimizer states bit for bit, each record
// once and in its turn, the loss of an undisturbed run to rounding.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <sstream>

#include "framework/store/progress.h"
#include "parallel/comm/mpi_communicator.h"
#include "recipes/training/trainer.h"
#include "tests/recipes/tiny_lmm.h"
#include "tests/support/scratch.h"

namespace retain::recipes {
namespace {

using parallel::Mesh;
using parallel::MeshShape;

constexpr std::int64_t kSteps = 8;  // two epochs of four steps

/// Notes which records are asked for.
class NotedRecords final : public SampleSource {
 public:
  NotedRecords() : records_(testing::tiny_config(), "ittiitttttiittiit") {}
  std::int64_t size() const override { return records_.size(); }
  models::Sample sample(std::int64_t record, bool with_pixels) const override {
    const std::lock_guard hold(mutex_);
    asked_.push_back(record);
    return records_.sample(record, with_pixels);
  }
  std::string where(std::int64_t record) const override { return records_.where(record); }

  void forget() const {
    const std::lock_guard hold(mutex_);
    asked_.clear();
  }
  std::string asked() const {
    const std::lock_guard hold(mutex_);
    std::string text;
    for (const std::int64_t record : asked_) text += std::to_string(record) + " ";
    return text;
  }

 private:
  testing::TinyRecords records_;
  mutable std::mutex mutex_;
  mutable std::vector<std::int64_t> asked_;
};

/// A part of a run on one mesh, up to optimizer step `until`.
struct Leg {
  MeshShape shape;
  std::int64_t until;
};

struct Lesson {
  explicit Lesson(const Mesh& mesh, bool zero)
      : model(testing::tiny_model(testing::tiny_config(), mesh, testing::tiny_weights(testing::tiny_config()), false)),
        log(mesh.world().rank(), mesh.world().size(), /*quiet=*/true) {
    TrainSettings settings;
    settings.learning_rate = 1e-3;
    settings.global_batch = 4;
    settings.epochs = 2;
    settings.seed = 3;
    settings.zero = zero;
    TrainerHooks hooks;
    hooks.on_step = [this](const StepRecord& record) { steps.push_back(record); };
    hooks.stop_requested = [this] { return trainer->next_step() == until; };
    trainer.emplace(*model, records, settings, std::vector<TrainableGroup>{{{"llm"}, 0}}, log, hooks, OnBad::stop,
                    "tiny");
    records.forget();  // the scan reads all of them
  }

  std::unique_ptr<models::Lmm> model;
  NotedRecords records;
  framework::Log log;
  std::vector<StepRecord> steps;
  std::int64_t until = kSteps;
  std::optional<Trainer> trainer;
};

/// Digest of every array of a checkpoint, global weights and optimizer states alike, and its description.
std::map<std::string, std::string> contents(const framework::Store& store, const std::string& run, std::int64_t step) {
  const auto file = framework::open_progress(store, run, step);
  std::map<std::string, std::string> digests;
  for (const framework::ArrayEntry& array : file->manifest().arrays)
    digests[array.spec.path] = framework::to_hex(array.digest);
  digests["description"] = framework::json::serialize(framework::sorted(file->manifest().inputs));
  return digests;
}

/// Records the replicas asked for in this leg, each replica's first rank speaking for it.
std::vector<std::int64_t> asked_by_all(const Mesh& mesh, const NotedRecords& records) {
  const bool speaks = mesh.tensor().rank() == 0 && mesh.is_first_pipeline_stage();
  std::vector<std::int64_t> all;
  for (const std::string& text : mesh.world().gather_text(speaks ? records.asked() : "")) {
    std::istringstream words(text);
    for (std::int64_t record = 0; words >> record;) all.push_back(record);
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<std::int64_t> records_of(const framework::Sampler& sampler, std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> records;
  for (std::int64_t step = from; step < to; ++step)
    for (const std::int64_t record : sampler.batch(sampler.at(step))) records.push_back(record);
  std::sort(records.begin(), records.end());
  return records;
}

class ReshardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world = parallel::open_world();
    if (world->rank() == 0) scratch.emplace();
    folder = world->broadcast_text(scratch ? scratch->path().string() : "", 0);
    run_leg({{1, 1, 1}, kSteps}, false, 0, "whole", undisturbed);
    ASSERT_TRUE(world->rank() != 0 || undisturbed.size() == kSteps);
  }
  void TearDown() override { world->barrier(); }

  /// One leg from step `first` on, on the ranks that its mesh has; their steps are appended to `steps`.
  void run_leg(const Leg& leg, bool zero, std::int64_t first, const std::string& run, std::vector<StepRecord>& steps) {
    const bool inside = world->rank() < leg.shape.ranks();
    const std::shared_ptr<parallel::Communicator> part = world->split(inside ? 0 : 1, world->rank(), "world");
    if (inside) {
      const Mesh mesh(part, leg.shape);
      parallel::ShardedStore store(folder / "store", mesh, parallel::ShardedStore::Access::write);
      Lesson lesson(mesh, zero);
      const std::string what = to_string(leg.shape) + " from step " + std::to_string(first);
      if (first > 0) resume(lesson, store, run, first, what);
      lesson.until = leg.until;
      lesson.trainer->run();
      // The batch of the step at which it was asked to stop had been read ahead.
      EXPECT_EQ(asked_by_all(mesh, lesson.records),
                records_of(lesson.trainer->sampler(), first, std::min(leg.until + 1, kSteps)))
          << what;
      steps.insert(steps.end(), lesson.steps.begin(), lesson.steps.end());
      if (leg.until < kSteps) lesson.trainer->save(store, run, {});
    }
    world->barrier();
  }

  /// What was read, written again on the new mesh, equals what the old one wrote, bit for bit.
  void resume(Lesson& lesson, parallel::ShardedStore& store, const std::string& run, std::int64_t first,
              const std::string& what) {
    ASSERT_TRUE(lesson.trainer->resume(store, run)) << what;
    EXPECT_EQ(lesson.trainer->next_step(), first) << what;
    lesson.trainer->save(store, run + "-again", {});
    if (!store.is_author()) return;
    const auto written = contents(store.store(), run, first), read = contents(store.store(), run + "-again", first);
    EXPECT_GT(written.size(), 30U);
    EXPECT_EQ(read, written) << what;
  }

  void goes_on(const std::vector<Leg>& legs, bool zero) {
    std::vector<StepRecord> steps;
    std::int64_t first = 0;
    std::string run = "run";
    for (const Leg& leg : legs) run += "-" + std::to_string(leg.shape.ranks()) + "." + std::to_string(leg.until);
    for (const Leg& leg : legs) {
      run_leg(leg, zero, first, run, steps);
      first = leg.until;
    }
    if (world->rank() != 0) return;
    ASSERT_EQ(steps.size(), undisturbed.size());
    for (std::size_t s = 0; s < steps.size(); ++s) {
      EXPECT_EQ(steps[s].step, undisturbed[s].step);
      EXPECT_EQ(steps[s].tokens, undisturbed[s].tokens) << "other samples in step " << s;
      EXPECT_EQ(steps[s].answers, undisturbed[s].answers);
      EXPECT_NEAR(steps[s].loss, undisturbed[s].loss, 1e-5 * undisturbed[s].loss) << run << ", step " << s;
    }
  }

  std::shared_ptr<parallel::Communicator> world;
  std::optional<tests::Scratch> scratch;
  std::filesystem::path folder;
  std::vector<StepRecord> undisturbed;
};

// Meshes are data x pipeline x tensor; epochs end after steps 4 and 8, so most stops are in the middle of one.
TEST_F(ReshardTest, DataRanksOneToTwoToFour) {
  goes_on({{{1, 1, 1}, 2}, {{2, 1, 1}, 5}, {{4, 1, 1}, 8}}, true);
}
TEST_F(ReshardTest, DataRanksFourToOneAtTheEndOfAnEpoch) {
  goes_on({{{4, 1, 1}, 4}, {{1, 1, 1}, 8}}, true);
}
TEST_F(ReshardTest, TensorRanksTwoToOne) {
  goes_on({{{1, 1, 2}, 3}, {{1, 1, 1}, 8}}, false);
}
TEST_F(ReshardTest, PipelineStagesOneToThree) {
  goes_on({{{1, 1, 1}, 3}, {{1, 3, 1}, 8}}, false);
}
TEST_F(ReshardTest, DataRanksToTensorRanks) {
  goes_on({{{4, 1, 1}, 6}, {{2, 1, 2}, 8}}, true);
}
TEST_F(ReshardTest, DataAndPipelineToMoreTensorRanksThanKeyValueHeads) {
  goes_on({{{2, 2, 1}, 1}, {{1, 1, 4}, 8}}, true);
}
TEST_F(ReshardTest, TwoByTwoToUnevenShares) {
  goes_on({{{2, 1, 2}, 5}, {{3, 1, 1}, 8}}, true);
}

}  // namespace
}  // namespace retain::recipes
