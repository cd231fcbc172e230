// SPDX-License-Identifier: Apache-2.0
// A stage under every method stops in its middle and goes on: bit for bit on the same mesh, to rounding on another.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "parallel/comm/mpi_communicator.h"
#include "recipes/methods/registry.h"
#include "recipes/training/trainer.h"
#include "tests/recipes/tiny_lmm.h"
#include "tests/support/shared_scratch.h"

namespace retain::recipes {
namespace {

using parallel::Mesh;
using parallel::MeshShape;
using parallel::ShardedStore;

const std::string kKinds = "ittiitttttiittii";
constexpr std::size_t kStop = 3;

struct Taught {
  const char* method;
  const char* patterns;
  const char* settings;
};
constexpr std::array kTaught = {Taught{"lwf", "mlp", ""}, Taught{"lora", "mlp+sa_proj", "rank = 3\ndropout = 0.1"},
                                Taught{"lora", "mlp", "rank = 2\nmerge = false"}, Taught{"moe", "mlp", ""},
                                Taught{"l2", "llm", "lambda = 0.1"}};

std::shared_ptr<const Method> make(const Taught& taught) {
  const framework::ConfigFile file = framework::ConfigFile::parse(taught.settings, "test");
  const framework::ConfigTable root = file.root();
  return MethodRegistry().make(taught.method, {root, {{{taught.patterns}, 0}}});
}

TrainSettings settings_of(bool zero) {
  TrainSettings settings;
  settings.learning_rate = 1e-3;
  settings.epsilon = 1e-3;  // as in the equality gate: rounding of gradients near zero stays rounding
  settings.global_batch = 4;
  settings.epochs = 2;
  settings.seed = 3;
  settings.zero = zero;
  return settings;
}

struct Lesson {
  Lesson(const Mesh& mesh, const Taught& taught, bool zero)
      : method(make(taught)),
        model(testing::tiny_model(testing::tiny_config(), mesh, testing::tiny_weights(testing::tiny_config()), false,
                                  framework::DType::float32, {method.get(), 3, "tiny"})),
        records(testing::tiny_config(), kKinds),
        log(mesh.world().rank(), mesh.world().size(), /*quiet=*/true) {
    TrainerHooks hooks;
    hooks.on_step = [this](const StepRecord& record) { losses.push_back(record.loss); };
    hooks.stop_requested = [this] { return store && losses.size() >= kStop; };
    hooks.save = [this](std::int64_t) { trainer->save(*store, "run", {}); };
    trainer.emplace(*model, records, settings_of(zero), std::vector<TrainableGroup>{{{taught.patterns}, 0}}, log, hooks, OnBad::stop, "tiny",
                    TrainerMethod{method.get(), nullptr, nullptr});
  }

  std::shared_ptr<const Method> method;
  std::unique_ptr<models::Lmm> model;
  testing::TinyRecords records;
  framework::Log log;
  std::vector<double> losses;
  ShardedStore* store = nullptr;  ///< set: stops after kStop steps and saves there
  std::optional<Trainer> trainer;
};

void stop_early(const Mesh& mesh, const std::filesystem::path& path, const Taught& taught, bool zero) {
  ShardedStore store(path, mesh, ShardedStore::Access::write);
  Lesson first(mesh, taught, zero);
  first.store = &store;
  EXPECT_FALSE(first.trainer->run().finished);
}

TEST(MethodResume, BitForBitOnTheSameMesh) {
  const auto world = parallel::open_world();
  const std::vector<MeshShape> shapes = world->size() == 1 ? std::vector<MeshShape>{{1, 1, 1}} : std::vector<MeshShape>{{2, 1, 1}, {1, 2, 1}, {1, 1, 2}};
  for (const MeshShape& shape : shapes)
    for (const Taught& taught : kTaught) {
      const Mesh mesh(world, shape);
      const std::string what = to_string(shape) + " " + taught.method;
      const tests::SharedScratch scratch(*world);
      const bool zero = shape.data > 1;
      Lesson whole(mesh, taught, zero);
      EXPECT_TRUE(whole.trainer->run().finished);
      stop_early(mesh, scratch.path / "store", taught, zero);
      ShardedStore store(scratch.path / "store", mesh, ShardedStore::Access::write);
      Lesson second(mesh, taught, zero);
      ASSERT_TRUE(second.trainer->resume(store, "run")) << what;
      EXPECT_TRUE(second.trainer->run().finished);
      ASSERT_EQ(second.losses.size() + kStop, whole.losses.size());
      for (std::size_t s = 0; s < second.losses.size(); ++s) EXPECT_EQ(second.losses[s], whole.losses[s + kStop]) << what << " step " << s;
      EXPECT_EQ(testing::difference(*whole.model, *second.model), 0) << what;
    }
}

TEST(MethodResume, OnAnotherMesh) {
  const auto world = parallel::open_world();
  if (world->size() != 2) GTEST_SKIP() << "needs two ranks";
  for (const Taught& taught : kTaught) {
    const tests::SharedScratch scratch(*world);
    stop_early(Mesh(world, {2, 1, 1}), scratch.path / "store", taught, true);
    const Mesh mesh(world, {1, 1, 2});
    Lesson whole(mesh, taught, false);
    whole.trainer->run();
    ShardedStore store(scratch.path / "store", mesh, ShardedStore::Access::read);
    Lesson second(mesh, taught, false);
    ASSERT_TRUE(second.trainer->resume(store, "run")) << taught.method;
    second.trainer->run();
    for (std::size_t s = 0; s < second.losses.size(); ++s)
      EXPECT_NEAR(second.losses[s], whole.losses[s + kStop], 1e-5 * whole.losses[s + kStop]) << taught.method;
    EXPECT_LT(testing::difference(*whole.model, *second.model), 1e-5) << taught.method;
  }
}

}  // namespace
}  // namespace retain::recipes
