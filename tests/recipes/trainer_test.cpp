// SPDX-License-Identifier: Apache-2.0
// The trainer on any mesh: stopping and resuming, records left out, gradients that are not finite, what frozen parts cost.
#include "recipes/training/trainer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <optional>

#include "framework/base/error.h"
#include "framework/store/progress.h"
#include "parallel/comm/mpi_communicator.h"
#include "tests/recipes/tiny_lmm.h"
#include "tests/support/bad_sectors.h"
#include "tests/support/shared_scratch.h"

namespace retain::recipes {
namespace {

using framework::DType;
using framework::Error;
using framework::ErrorKind;
using parallel::Mesh;
using parallel::MeshShape;
using Weights = std::map<std::string, at::Tensor>;

const std::string kKinds = "ittiitttttiittii";

TrainSettings settings_of(bool zero = false) {
  TrainSettings settings;
  settings.learning_rate = 1e-3;
  settings.global_batch = 4;
  settings.epochs = 2;
  settings.seed = 3;
  settings.zero = zero;
  return settings;
}

/// A model and its trainer on one mesh.
struct Lesson {
  Lesson(const Mesh& mesh, const std::string& kinds, const TrainSettings& settings, const std::string& recipe,
      DType dtype = DType::float32, OnBad bad_records = OnBad::stop, const Weights& start = testing::tiny_weights(testing::tiny_config()))
      : model(testing::tiny_model(testing::tiny_config(), mesh, start, false, dtype)),
        records(testing::tiny_config(), kinds),
        log(mesh.world().rank(), mesh.world().size(), /*quiet=*/true) {
    TrainerHooks hooks;
    hooks.on_step = [this](const StepRecord& record) { steps.push_back(record); };
    hooks.stop_requested = [this] { return stop_at && steps.size() >= *stop_at; };
    hooks.save = [this](std::int64_t) {
      if (store) trainer->save(*store, "run", {});
    };
    hooks.writing = [this] { return store && store->busy(); };
    hooks.settle = [this] {
      if (store) store->settle();
    };
    trainer.emplace(*model, records, settings, std::vector<TrainableGroup>{{{recipe}, 0}}, log, hooks, bad_records, "tiny");
  }

  std::unique_ptr<models::Lmm> model;
  testing::TinyRecords records;
  framework::Log log;
  std::vector<StepRecord> steps;
  std::optional<std::size_t> stop_at;
  parallel::ShardedStore* store = nullptr;
  std::optional<Trainer> trainer;
};

std::vector<MeshShape> shapes_for(int ranks) {
  if (ranks == 1) return {{1, 1, 1}};
  if (ranks == 2) return {{2, 1, 1}, {1, 2, 1}, {1, 1, 2}};
  return {{2, 2, 1}, {2, 1, 2}};
}

void resumes_bit_for_bit(const Mesh& mesh, DType dtype, bool zero, bool in_background = false) {
  const std::string what = to_string(mesh.shape()) + (zero ? " ZeRO-1 " : " ") + std::string(framework::name_of(dtype));
  tests::SharedScratch scratch(mesh.world());
  Lesson whole(mesh, kKinds, settings_of(zero), "llm", dtype);
  EXPECT_TRUE(whole.trainer->run().finished);
  ASSERT_EQ(whole.steps.size(), 8U);
  {
    parallel::ShardedStore store(scratch.path / "store", mesh, parallel::ShardedStore::Access::write);
    Lesson first(mesh, kKinds, settings_of(zero), "llm", dtype);
    store.write_in_background(in_background);
    first.store = &store;
    first.stop_at = mesh.world().rank() == mesh.world().size() - 1 ? std::optional<std::size_t>(3) : std::nullopt;
    const TrainOutcome outcome = first.trainer->run();
    EXPECT_FALSE(outcome.finished);
    EXPECT_EQ(outcome.next_step, 3) << "one rank's wish stops all";
    store.settle();
  }
  parallel::ShardedStore store(scratch.path / "store", mesh, parallel::ShardedStore::Access::write);
  Lesson second(mesh, kKinds, settings_of(zero), "llm", dtype);
  ASSERT_TRUE(second.trainer->resume(store, "run")) << what;
  EXPECT_EQ(second.trainer->next_step(), 3);
  EXPECT_TRUE(second.trainer->run().finished);
  for (std::size_t s = 0; s < second.steps.size(); ++s) {
    EXPECT_EQ(second.steps[s].step, whole.steps[s + 3].step);
    EXPECT_EQ(second.steps[s].loss, whole.steps[s + 3].loss) << what;
    EXPECT_EQ(second.steps[s].grad_norm, whole.steps[s + 3].grad_norm) << what;
  }
  EXPECT_EQ(testing::difference(*whole.model, *second.model), 0) << what;
}

TEST(Trainer, ResumesBitForBit) {
  const auto world = parallel::open_world();
  for (const MeshShape& shape : shapes_for(world->size())) {
    const Mesh mesh(world, shape);
    resumes_bit_for_bit(mesh, DType::float32, false);
    resumes_bit_for_bit(mesh, DType::float32, true);
    resumes_bit_for_bit(mesh, DType::bfloat16, true, /*in_background=*/true);
  }
}

TEST(Trainer, CheckpointsWrittenInTheBackgroundHoldTheirStep) {
  const auto world = parallel::open_world();
  const Mesh mesh(world, shapes_for(world->size()).front());
  tests::SharedScratch scratch(*world);
  TrainSettings settings = settings_of();
  Lesson whole(mesh, kKinds, settings, "llm");
  whole.trainer->run();
  settings.save_every = 2;
  parallel::ShardedStore store(scratch.path / "store", mesh, parallel::ShardedStore::Access::write);
  store.write_in_background(true);
  Lesson saving(mesh, kKinds, settings, "llm");
  saving.store = &store;
  EXPECT_TRUE(saving.trainer->run().finished);
  EXPECT_EQ(testing::difference(*whole.model, *saving.model), 0) << "saving changes nothing";
  Lesson resumed(mesh, kKinds, settings, "llm");
  ASSERT_TRUE(resumed.trainer->resume(store, "run"));
  EXPECT_EQ(resumed.trainer->next_step(), 6) << "training went on for two steps after this checkpoint";
  EXPECT_TRUE(resumed.trainer->run().finished);
  EXPECT_EQ(testing::difference(*whole.model, *resumed.model), 0);
}

/// Flips a bit of a checkpoint: in an array's bytes or in the header.
void damage(const Mesh& mesh, const framework::Store& store, std::int64_t step, bool header) {
  mesh.world().barrier();
  if (mesh.world().rank() == 0) {
    const auto file = framework::open_progress(store, "run", step);
    const auto at = static_cast<std::streamoff>(header ? 7 : file->manifest().arrays.back().offset + 1);
    std::fstream stream(file->path(), std::ios::in | std::ios::out | std::ios::binary);
    const int old = stream.seekg(at).get();
    stream.seekp(at).put(static_cast<char>(old ^ 1)).flush();
  }
  mesh.world().barrier();
}

TrainSettings saving_every_second_step() {
  TrainSettings settings = settings_of();
  settings.save_every = 2;
  return settings;
}

/// A run of 8 steps whose checkpoints of 4 and 6 are kept.
struct SavedRun {
  Mesh mesh;
  tests::SharedScratch scratch;
  TrainSettings settings = saving_every_second_step();
  parallel::ShardedStore store;
  Lesson whole;

  SavedRun(const std::shared_ptr<parallel::Communicator>& world, const MeshShape& shape,
           framework::FileOperations& operations = framework::FileOperations::system())
      : mesh(world, shape),
        scratch(*world),
        store(scratch.path / "store", mesh, parallel::ShardedStore::Access::write, "test", operations),
        whole(mesh, kKinds, settings, "llm") {
    whole.store = &store;
    EXPECT_TRUE(whole.trainer->run().finished);
  }
};

TEST(Trainer, ADamagedCheckpointGivesWayToTheOneBefore) {
  const auto world = parallel::open_world();
  for (const MeshShape& shape : shapes_for(world->size())) {
    SavedRun run(world, shape);
    auto& [mesh, scratch, settings, store, whole] = run;
    const auto goes_on = [&](std::int64_t step, std::size_t damaged) {
      framework::PassedOver passed;
      store.latest_progress("run", &passed);
      EXPECT_EQ(passed.damaged.size(), damaged) << "on every rank";
      Lesson lesson(mesh, kKinds, settings, "llm");
      EXPECT_EQ(lesson.trainer->resume(store, "run"), step > 0);
      EXPECT_EQ(lesson.trainer->next_step(), step);
      EXPECT_TRUE(lesson.trainer->run().finished);
      EXPECT_EQ(testing::difference(*whole.model, *lesson.model), 0) << to_string(shape) << " from step " << step;
    };
    goes_on(6, 0);
    damage(mesh, store.store(), 6, /*header=*/false);
    goes_on(4, 1);
    damage(mesh, store.store(), 4, /*header=*/false);
    goes_on(0, 2);
    damage(mesh, store.store(), 6, /*header=*/true);
    goes_on(0, 2);
  }
}

TEST(Trainer, ACheckpointThatCannotBeReadGivesWayToTheOneBefore) {
  const auto world = parallel::open_world();
  for (const MeshShape& shape : shapes_for(world->size())) {
    tests::BadSectors disk;
    SavedRun run(world, shape, disk);
    auto& [mesh, scratch, settings, store, whole] = run;
    const std::string newest = "step-000000000006.h5", older = "step-000000000004.h5";
    const bool last = world->rank() == world->size() - 1;  // where its blocks lie nobody else meets the bad sector
    if (last) disk.unreadable = {newest};
    Lesson goes_on(mesh, kKinds, settings, "llm");
    ASSERT_TRUE(goes_on.trainer->resume(store, "run"));
    EXPECT_EQ(goes_on.trainer->next_step(), 4) << to_string(shape);
    EXPECT_TRUE(goes_on.trainer->run().finished);
    EXPECT_EQ(testing::difference(*whole.model, *goes_on.model), 0) << to_string(shape);
    if (last) disk.unreadable = {newest, older};
    Lesson nowhere(mesh, kKinds, settings, "llm");
    try {
      nowhere.trainer->resume(store, "run");
      ADD_FAILURE() << "a disk that cannot be read is no reason to start over";
    } catch (const framework::Error& error) {
      EXPECT_EQ(error.kind(), framework::ErrorKind::io) << error.what();
      for (const std::string& file : {newest, older}) EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
    }
    EXPECT_EQ(framework::progress_steps(store.store(), "run"), (std::vector<std::int64_t>{4, 6})) << "nothing is lost";
  }
}

/// Refuses every checkpoint's bytes on one rank.
struct FullDisk : framework::FileOperations {
  bool full = false;
  std::size_t write_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset, const Path& path) override {
    refuse(path);
    return FileOperations::write_at(descriptor, bytes, offset, path);
  }
  std::size_t write_direct_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset, const Path& path) override {
    refuse(path);
    return FileOperations::write_direct_at(descriptor, bytes, offset, path);
  }
  void refuse(const Path& path) const {
    if (full) throw Error(ErrorKind::io, "cannot write " + path.string() + ": no space left");
  }
};

TEST(Trainer, AFailedBackgroundWriteStopsTheRunOnEveryRank) {
  const auto world = parallel::open_world();
  const Mesh mesh(world, shapes_for(world->size()).front());
  tests::SharedScratch scratch(*world);
  TrainSettings settings = settings_of();
  settings.save_every = 2;
  FullDisk disk;
  parallel::ShardedStore store(scratch.path / "store", mesh, parallel::ShardedStore::Access::write, "test", disk);
  store.write_in_background(true);
  Lesson run(mesh, kKinds, settings, "llm");
  run.store = &store;
  disk.full = world->rank() == 0;  // who writes the small arrays
  try {
    run.trainer->run();
    ADD_FAILURE() << "the failure vanished";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("no space left"));
  }
  EXPECT_LE(run.steps.size(), 4U) << "at the latest when the next checkpoint is due";
}

TEST(Trainer, ResumesOnAnotherMesh) {
  const auto world = parallel::open_world();
  if (world->size() != 2) GTEST_SKIP() << "needs two ranks";
  tests::SharedScratch scratch(*world);
  {
    const Mesh mesh(world, {2, 1, 1});
    parallel::ShardedStore store(scratch.path / "store", mesh, parallel::ShardedStore::Access::write);
    Lesson first(mesh, kKinds, settings_of(true), "sa_proj");
    first.store = &store;
    first.stop_at = 5;
    first.trainer->run();
  }
  for (const MeshShape& shape : {MeshShape{1, 2, 1}, MeshShape{1, 1, 2}}) {
    const Mesh mesh(world, shape);
    parallel::ShardedStore store(scratch.path / "store", mesh, parallel::ShardedStore::Access::read);
    Lesson whole(mesh, kKinds, settings_of(), "sa_proj");
    whole.trainer->run();
    Lesson second(mesh, kKinds, settings_of(), "sa_proj");
    ASSERT_TRUE(second.trainer->resume(store, "run"));
    second.trainer->run();
    ASSERT_EQ(second.steps.size(), 3U);
    for (std::size_t s = 0; s < 3; ++s) EXPECT_NEAR(second.steps[s].loss, whole.steps[s + 5].loss, 1e-5 * whole.steps[s + 5].loss);
    EXPECT_LT(testing::difference(*whole.model, *second.model), 1e-4);
  }
}

TEST(Trainer, LearningRateFollowsTheScheduleAndGroups) {
  const auto world = parallel::open_world();
  const Mesh mesh(world, shapes_for(world->size()).front());
  Lesson run(mesh, kKinds, settings_of(), "mlp_down");
  run.trainer->run();
  ASSERT_EQ(run.steps.size(), 8U);
  EXPECT_EQ(run.steps[0].learning_rate, 0);
  EXPECT_DOUBLE_EQ(run.steps[1].learning_rate, 1e-3);
  EXPECT_NEAR(run.steps[7].learning_rate, 4.9515566048790485e-05, 1e-15);
  for (const StepRecord& step : run.steps) {
    EXPECT_EQ(step.samples, 4);
    EXPECT_GT(step.tokens, step.answers);
    EXPECT_GT(step.answers, 0);
  }
}

TEST(Trainer, OverLengthRecordsAreSkippedAndCounted) {
  const auto world = parallel::open_world();
  const Mesh mesh(world, shapes_for(world->size()).front());
  TrainSettings settings = settings_of();
  settings.max_length = 25;  // fits texts, no pictures
  Lesson run(mesh, kKinds, settings, "mlp_down");
  EXPECT_EQ(run.trainer->scan().over_length, 7);
  EXPECT_EQ(run.trainer->total_steps(), 2 * 2) << "nine texts are two batches of four, twice";
  EXPECT_TRUE(run.trainer->run().finished);
  settings.over_length = OnBad::stop;
  if (world->size() == 1) EXPECT_THROW(Lesson(mesh, kKinds, settings, "mlp_down"), Error);
  settings.max_length = 1;
  settings.over_length = OnBad::skip;
  EXPECT_THROW(Lesson(mesh, kKinds, settings, "mlp_down"), Error) << "nothing is left, on every rank";
}

TEST(Trainer, BadRecordsAreSkippedOnAllRanksAlike) {
  const auto world = parallel::open_world();
  for (const MeshShape& shape : shapes_for(world->size())) {
    const Mesh mesh(world, shape);
    // 'b' is found by the scan; 'p' only where pixels are read, which later pipeline stages never do.
    Lesson run(mesh, "ibttpittittt", settings_of(), "llm", DType::float32, OnBad::skip);
    EXPECT_EQ(run.trainer->scan().bad, 1);
    EXPECT_EQ(run.trainer->total_steps(), 2 * 2);
    const TrainOutcome outcome = run.trainer->run();
    EXPECT_TRUE(outcome.finished);
    EXPECT_LE(outcome.left_out, 2) << "the record appears at most once an epoch";
    std::int64_t samples = 0;
    for (const StepRecord& step : run.steps) samples += step.samples;
    EXPECT_EQ(samples, 16 - outcome.left_out);
  }
}

Weights poisoned() {
  Weights weights = testing::tiny_weights(testing::tiny_config());
  at::Tensor& gate = weights.at("language.layers.3.mlp.gate_proj.weight");
  gate = gate.clone();
  gate[0][0] = std::numeric_limits<float>::quiet_NaN();
  return weights;
}

TEST(Trainer, ANonFiniteGradientStopsAndNamesTheParameter) {
  const auto world = parallel::open_world();
  for (const MeshShape& shape : shapes_for(world->size())) {
    const Mesh mesh(world, shape);
    Lesson run(mesh, kKinds, settings_of(), "mlp_down", DType::float32, OnBad::stop, poisoned());
    try {
      run.trainer->run();
      ADD_FAILURE() << "trained on NaN";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::training_non_finite);
      EXPECT_THAT(error.what(), ::testing::HasSubstr("mlp.down_proj.weight"));
    }
  }
}

TEST(Trainer, ANonFiniteGradientIsSkippedWhenAsked) {
  const auto world = parallel::open_world();
  const Mesh mesh(world, shapes_for(world->size()).front());
  TrainSettings settings = settings_of();
  settings.non_finite = OnBad::skip;
  Lesson run(mesh, kKinds, settings, "mlp_down", DType::float32, OnBad::stop, poisoned());
  Lesson untouched(mesh, kKinds, settings, "mlp_down", DType::float32, OnBad::stop, poisoned());
  const TrainOutcome outcome = run.trainer->run();
  EXPECT_EQ(outcome.skipped_steps, 8);
  for (const StepRecord& step : run.steps) EXPECT_TRUE(step.skipped);
  for (const parallel::Parameter& parameter : run.model->parameters().all())
    EXPECT_TRUE(at::equal(parameter.value.nan_to_num(-7), untouched.model->parameters().at(parameter.spec.name).nan_to_num(-7)));
}

TEST(Trainer, NoGradientCrossesToAFrozenPipelineStage) {
  const auto world = parallel::open_world();
  if (world->size() != 2) GTEST_SKIP() << "needs two ranks";
  const Mesh mesh(world, {1, 2, 1});
  Lesson run(mesh, kKinds, settings_of(), "layers:4");
  const std::int64_t before = mesh.pipeline().bytes_sent();
  run.trainer->run();
  const std::int64_t sent = mesh.pipeline().bytes_sent() - before;
  if (mesh.is_last_pipeline_stage())
    EXPECT_EQ(sent, 0);
  else
    EXPECT_GT(sent, 0);
  for (const parallel::Parameter& parameter : run.model->parameters().all())
    EXPECT_EQ(parameter.trainable(), parameter.spec.name.starts_with("language.layers.4."));
}

TEST(Trainer, Bfloat16WithMastersStaysNearFloat32) {
  const auto world = parallel::open_world();
  const Mesh mesh(world, shapes_for(world->size()).front());
  Lesson wide(mesh, kKinds, settings_of(), "llm"), narrow(mesh, kKinds, settings_of(), "llm", DType::bfloat16);
  wide.trainer->run();
  narrow.trainer->run();
  for (std::size_t s = 0; s < 8; ++s) EXPECT_NEAR(narrow.steps[s].loss, wide.steps[s].loss, 0.02 * wide.steps[s].loss);
  EXPECT_LT(narrow.steps[7].loss, narrow.steps[1].loss);
}

}  // namespace
}  // namespace retain::recipes
