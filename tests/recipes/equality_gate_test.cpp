// SPDX-License-Identifier: Apache-2.0
// The layout never changes the numbers: six optimizer steps of a whole multimodal model on every mesh equal one rank's.
//
// Bounds. Losses and gradient norms: relative 1e-5. Final weights: |w - w₁| ≤ 1e-5 · max|w₁| of the tensor, plus what
// AdamW makes of rounding: an element moves by at most the learning rate a step whatever the size of its gradient, so a
// gradient of size g that carries an absolute rounding error e moves differently by up to rate · e/g. Elements of random
// gradients come close to zero in proportion to their number, which the mean below averages out: the mean of |w - w₁| over a
// tensor must stay below 1e-6 · max|w₁|, and single elements below 2e-2 of the largest distance AdamW can have moved them.
// SigLIP's k_proj.bias has no true gradient (softmax is invariant under it): its weights are exempt, never the losses.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "framework/data/micro_batch.h"
#include "parallel/comm/mpi_communicator.h"
#include "parallel/comm/self_communicator.h"
#include "recipes/trainer.h"
#include "tests/recipes/tiny_lmm.h"

namespace retain::recipes {
namespace {

using parallel::Mesh;
using parallel::MeshShape;
using Weights = std::map<std::string, at::Tensor>;

// Six global batches of four: one picture beside three texts (so that one data rank has none), all kinds of mixtures, and a
// batch without any picture, which must leave vision tower and projector alone.
const std::string kKinds = "ittt" "iitt" "tttt" "tiit" "iiii" "titi";
constexpr double kRelative = 1e-5;
constexpr double kRate = 1e-3;

struct Outcome {
  std::vector<double> losses, norms;
  Weights weights;  ///< this rank's slices, by name
};

TrainSettings settings_of(bool zero) {
  TrainSettings settings;
  settings.learning_rate = kRate;
  settings.global_batch = 4;
  settings.shuffle = false;
  settings.weight_decay = 0.01;
  settings.zero = zero;
  return settings;
}

Outcome train(const Mesh& mesh, const models::LmmConfig& config, const Weights& start, const std::string& recipe, bool zero) {
  const auto model = testing::tiny_model(config, mesh, start, /*recompute=*/zero);
  const testing::TinyRecords records(config, kKinds);
  const framework::Log log(mesh.world().rank(), mesh.world().size(), /*quiet=*/true);
  Outcome outcome;
  TrainerHooks hooks;
  hooks.on_step = [&](const StepRecord& record) {
    outcome.losses.push_back(record.loss);
    outcome.norms.push_back(record.grad_norm);
  };
  Trainer trainer(*model, records, settings_of(zero), {{{recipe}, 0}}, log, hooks);
  EXPECT_TRUE(trainer.run().finished);
  for (const parallel::Parameter& parameter : model->parameters().all())
    outcome.weights[parameter.spec.name] = parameter.value.detach().clone();
  return outcome;
}

/// What one rank gets, computed by rank 0 and told to all.
Outcome reference(parallel::Communicator& world, const models::LmmConfig& config, const Weights& start, const std::string& recipe) {
  const Mesh alone(std::shared_ptr<parallel::Communicator>(parallel::make_self_communicator("world", 0)), {1, 1, 1});
  Outcome outcome;
  if (world.rank() == 0) outcome = train(alone, config, start, recipe, false);
  at::Tensor curve = at::zeros({12}, at::kDouble);
  if (world.rank() == 0)
    for (int s = 0; s < 6; ++s) {
      curve[s] = outcome.losses.at(static_cast<std::size_t>(s));
      curve[6 + s] = outcome.norms.at(static_cast<std::size_t>(s));
    }
  world.broadcast(curve, 0);
  if (world.rank() != 0)
    for (int s = 0; s < 6; ++s) {
      outcome.losses.push_back(curve[s].item<double>());
      outcome.norms.push_back(curve[6 + s].item<double>());
    }
  for (const auto& [name, value] : start) {
    at::Tensor whole = world.rank() == 0 ? outcome.weights.at(name) : at::empty_like(value);
    world.broadcast(whole, 0);
    outcome.weights[name] = whole;
  }
  return outcome;
}

void compare_curves(const std::vector<double>& found, const std::vector<double>& expected, const std::string& what) {
  ASSERT_EQ(found.size(), 6U) << what;
  for (std::size_t s = 0; s < 6; ++s) EXPECT_NEAR(found[s], expected[s], kRelative * std::abs(expected[s])) << what << " step " << s;
}

void compare_weights(const models::LmmConfig& config, const Mesh& mesh, const Outcome& found, const Outcome& one_rank,
                     const Weights& start, const std::string& recipe, const std::string& what) {
  const auto model = testing::tiny_model(config, mesh, start, false);
  std::map<std::string, bool> trained;
  for (const Selected& one : select(model->table(), {{{recipe}, 0}})) trained[one.name] = true;
  for (const parallel::Parameter& parameter : model->parameters().all()) {
    const std::string& name = parameter.spec.name;
    const at::Tensor& value = found.weights.at(name);
    const int rank = mesh.position().tensor;
    if (!trained[name]) {
      EXPECT_TRUE(at::equal(value, testing::slice_of(parameter.spec, start.at(name), rank))) << what << ": " << name << " is frozen";
      continue;
    }
    if (value.numel() == 0 || (name.starts_with("vision.") && name.ends_with("k_proj.bias"))) continue;
    const at::Tensor expected = testing::slice_of(parameter.spec, one_rank.weights.at(name), rank);
    const at::Tensor difference = (value.to(at::kDouble) - expected.to(at::kDouble)).abs();
    const double largest = std::max(1e-3, expected.abs().max().item<double>());
    EXPECT_LT(difference.mean().item<double>(), 1e-6 * largest) << what << ": " << name;
    EXPECT_LT(difference.max().item<double>(), kRelative * largest + 2e-2 * 6 * kRate) << what << ": " << name;
    if (name != "vision.post_layernorm.weight" && name != "vision.post_layernorm.bias")
      EXPECT_FALSE(at::equal(value, testing::slice_of(parameter.spec, start.at(name), rank))) << what << ": " << name;
  }
}

void gate(bool tied_head, const std::vector<std::string>& recipes) {
  const auto world = parallel::open_world();
  std::vector<MeshShape> shapes;
  switch (world->size()) {
    case 1: shapes = {{1, 1, 1}}; break;
    case 2: shapes = {{2, 1, 1}, {1, 2, 1}, {1, 1, 2}}; break;
    case 3: shapes = {{1, 3, 1}}; break;
    case 4: shapes = {{2, 2, 1}, {2, 1, 2}, {1, 2, 2}, {1, 1, 4}}; break;
    case 8: shapes = {{2, 2, 2}}; break;
    default: shapes = {{world->size() / 6, 3, 2}}; break;
  }
  const models::LmmConfig config = testing::tiny_config(tied_head);
  const Weights start = testing::tiny_weights(config);
  for (const std::string& recipe : recipes) {
    const Outcome expected = reference(*world, config, start, recipe);
    for (const MeshShape& shape : shapes) {
      const Mesh mesh(world, shape);
      for (const bool zero : {false, true}) {
        const std::string what = to_string(shape) + " " + recipe + (zero ? " with ZeRO-1" : "");
        const Outcome found = train(mesh, config, start, recipe, zero);
        compare_curves(found.losses, expected.losses, what + " loss");
        compare_curves(found.norms, expected.norms, what + " gradient norm");
        compare_weights(config, mesh, found, expected, start, recipe, what);
      }
    }
  }
}

TEST(EqualityGate, EveryMeshEqualsOneRank) { gate(false, {"llm", "sa_proj", "mlp_gate_up", "full"}); }

TEST(EqualityGate, TiedHeadToo) { gate(true, {"llm"}); }

TEST(EqualityGate, OneDataRankHasTextAloneInSomeStep) {
  const testing::TinyRecords records(testing::tiny_config(), kKinds);
  bool found = false;
  for (std::int64_t step = 0; step < 6; ++step) {
    std::vector<std::int64_t> tokens;
    for (std::int64_t slot = 0; slot < 4; ++slot)
      tokens.push_back(static_cast<std::int64_t>(records.sample(4 * step + slot, false).ids.size()));
    for (const auto& rank : framework::assign_micro_batches(tokens, 2, {0, 1, 1})) {
      bool any_image = false, any = false;
      for (const auto& micro_batch : rank)
        for (const std::int64_t slot : micro_batch.slots) {
          any = true;
          any_image = any_image || kKinds[static_cast<std::size_t>(4 * step + slot)] == 'i';
        }
      found = found || (any && !any_image && kKinds.substr(static_cast<std::size_t>(4 * step), 4).find('i') != std::string::npos);
    }
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace retain::recipes
