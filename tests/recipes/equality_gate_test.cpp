// SPDX-License-Identifier: Apache-2.0
// The layout never changes the numbers: six optimizer steps of a whole multimodal model on every mesh equal one rank's.
//
// Bounds. Losses and gradient norms: relative 1e-5. Every element of the final weights: 1e-5 of its tensor's largest. AdamW's usual
// epsilon would turn the rounding of a gradient near zero into a difference of up to the learning rate. With e the error of a
// gradient element, m̂ and √v̂ change by at most e each and, over six steps, |m̂| ≤ 1.1 √v̂ (Cauchy-Schwarz over the two decays), so
// m̂ / (√v̂ + ε) changes by at most e/ε + 1.1 √v̂ e/(√v̂ + ε)² ≤ 1.3 e/ε. Here ε equals the rate: six steps differ by at most 8 e.
// Gradients are clipped to norm 1; their elements stay below 0.3 and carry e ≤ 3e-7 (float32 sums in another order), so weights
// differ by at most 2.4e-6: 1e-5 of 0.24, about the largest element of the smallest tensors. Measured maxima are printed: 1e-7 for
// losses, 4e-7 for norms, 3e-7 for weights. What begins at zero and stays small is held to 2.4e-6 itself. A tower's k_proj.bias, whose true gradient is zero, needs no exemption.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <span>

#include "framework/data/micro_batch.h"
#include "parallel/comm/mpi_communicator.h"
#include "parallel/comm/self_communicator.h"
#include "recipes/methods/registry.h"
#include "recipes/training/trainer.h"
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
constexpr double kEpsilon = 1e-3;

/// What is switched on beside the mesh; each alone.
struct Variant {
  const char* name;
  bool zero, recompute;
};
constexpr std::array kVariants = {Variant{"", false, false}, Variant{" with ZeRO-1", true, false},
                                  Variant{" with recomputation", false, true}};
constexpr std::array kMethodVariants = {kVariants[0], Variant{" with ZeRO-1 and recomputation", true, true}};

struct Outcome {
  std::vector<double> losses, norms;
  Weights weights;  ///< this rank's slices, by name
};

TrainSettings settings_of(const Variant& variant) {
  TrainSettings settings;
  settings.learning_rate = kRate;
  settings.epsilon = kEpsilon;
  settings.global_batch = 4;
  settings.shuffle = false;
  settings.weight_decay = 0.01;
  settings.zero = variant.zero;
  return settings;
}

/// A recipe's patterns and, where `method` names one, its settings as TOML.
struct Taught {
  std::string patterns;
  std::string method = {};
  std::string settings = {};
  std::string name() const { return method.empty() ? patterns : method + " on " + patterns; }
  std::shared_ptr<const Method> make() const {
    if (method.empty()) return nullptr;
    const framework::ConfigFile file = framework::ConfigFile::parse(settings, "test");
    const framework::ConfigTable root = file.root();
    return MethodRegistry().make(method, {root, {{{patterns}, 0}}});
  }
};

Outcome train(const Mesh& mesh, const models::LmmConfig& config, const Weights& start, const Taught& taught, const Variant& variant) {
  const auto method = taught.make();
  const auto model = testing::tiny_model(config, mesh, start, variant.recompute, framework::DType::float32, {method.get(), 0, "gate"});
  const testing::TinyRecords records(config, kKinds);
  const framework::Log log(mesh.world().rank(), mesh.world().size(), /*quiet=*/true);
  Outcome outcome;
  TrainerHooks hooks;
  hooks.on_step = [&](const StepRecord& record) {
    outcome.losses.push_back(record.loss);
    outcome.norms.push_back(record.grad_norm);
  };
  Trainer trainer(*model, records, settings_of(variant), {{{taught.patterns}, 0}}, log, hooks, OnBad::stop, "data", {method.get(), nullptr, nullptr});
  EXPECT_TRUE(trainer.run().finished);
  for (const parallel::Parameter& parameter : model->parameters().all())
    outcome.weights[parameter.spec.name] = parameter.value.detach().clone();
  return outcome;
}

/// What one rank gets, computed by rank 0 and told to all.
Outcome reference(parallel::Communicator& world, const models::LmmConfig& config, const Weights& start, const Taught& recipe) {
  const Mesh alone(std::shared_ptr<parallel::Communicator>(parallel::make_self_communicator("world", 0)), {1, 1, 1});
  Outcome outcome;
  if (world.rank() == 0) outcome = train(alone, config, start, recipe, kVariants[0]);
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

/// Largest |found − expected| / |expected| of a curve.
double compare_curves(const std::vector<double>& found, const std::vector<double>& expected, const std::string& what) {
  EXPECT_EQ(found.size(), 6U) << what;
  double largest = 0;
  for (std::size_t s = 0; s < found.size(); ++s) {
    EXPECT_NEAR(found[s], expected[s], kRelative * std::abs(expected[s])) << what << " step " << s;
    largest = std::max(largest, std::abs(found[s] - expected[s]) / std::abs(expected[s]));
  }
  return largest;
}

/// Largest |found − expected| / max|expected of the tensor| on this rank.
double compare_weights(const models::LmmConfig& config, const Mesh& mesh, const Outcome& found, const Outcome& one_rank,
                       const Weights& start, const Taught& taught, const std::string& what) {
  const auto method = taught.make();
  const auto model = testing::tiny_model(config, mesh, start, false, framework::DType::float32, {method.get(), 0, "gate"});
  std::map<std::string, bool> trained;
  if (method)
    for (const std::string& changed : method->changed(model->table())) trained[changed] = true;
  else
    for (const Selected& one : select(model->table(), {{{taught.patterns}, 0}})) trained[one.name] = true;
  double largest = 0;
  for (const parallel::Parameter& parameter : model->parameters().all()) {
    const std::string& name = parameter.spec.name;
    const at::Tensor& value = found.weights.at(name);
    const int rank = mesh.position().tensor;
    const at::Tensor before = testing::slice_of(parameter.spec, start.at(name), rank);
    // Adapters that were merged begin anew in the next stage.
    const bool begins_at_zero = at::sum(start.at(name) != 0).item<std::int64_t>() == 0;
    if (!trained[name] && name.find(".lora_") != std::string::npos) continue;
    if (!trained[name]) {
      EXPECT_TRUE(at::equal(value, before)) << what << ": " << name << " is frozen";
      continue;
    }
    if (value.numel() == 0) continue;
    const at::Tensor expected = testing::slice_of(parameter.spec, one_rank.weights.at(name), rank);
    const double difference = (value.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>() /
                              std::max(one_rank.weights.at(name).abs().max().item<double>(), begins_at_zero ? 0.24 : 0.0);
    EXPECT_LT(difference, kRelative) << what << ": " << name;
    largest = std::max(largest, difference);
    const bool computed = !name.starts_with("vision.encoder.layers." + std::to_string(config.vision.computed_layers()));
    const bool reached = computed && !name.starts_with("vision.post_layernorm") &&
                         !(name.starts_with("vision.") && name.ends_with("k_proj.bias"));
    const double moved = (value - before).abs().max().item<double>();
    const bool own = name.find(".lora_") != std::string::npos || name.find(".router.") != std::string::npos;  // small gradients
    EXPECT_TRUE(!reached || moved > (own ? 0.01 : 0.1) * kRate) << what << ": " << name << " moved by " << moved;
  }
  return largest;
}

void print_largest(parallel::Communicator& world, const std::string& what, double loss, double norm, double weight) {
  at::Tensor largest = at::tensor({loss, norm, weight}, at::kDouble);
  world.all_reduce(largest, parallel::ReduceOp::max);
  const double* value = largest.const_data_ptr<double>();
  if (world.rank() == 0) std::printf("%s: loss %.1e, norm %.1e, weight %.1e\n", what.c_str(), value[0], value[1], value[2]);
}

/// With the whole parameters of a method after the model's.
Weights extended(const models::LmmConfig& config, Weights start, const Taught& taught) {
  const Mesh alone(std::shared_ptr<parallel::Communicator>(parallel::make_self_communicator("world", 0)), {1, 1, 1});
  const auto method = taught.make();
  const auto model = testing::tiny_model(config, alone, start, false, framework::DType::float32, {method.get(), 0, "gate"});
  for (const parallel::Parameter& parameter : model->parameters().all()) start[parameter.spec.name] = parameter.value.clone();
  return start;
}

void gate(const models::LmmConfig& config, const std::vector<Taught>& recipes, std::span<const Variant> variants = kVariants) {
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
  const bool methods = variants.size() < kVariants.size();  // what they add does not ask for every pair of axes
  if (methods && world->size() == 4) shapes = {{2, 1, 2}, {1, 1, 4}};
  const Weights plain = testing::tiny_weights(config);
  for (const Taught& recipe : recipes) {
    const Weights start = extended(config, plain, recipe);
    const Outcome expected = reference(*world, config, start, recipe);
    for (const MeshShape& shape : shapes) {
      const Mesh mesh(world, shape);
      for (const Variant& variant : variants) {
        const std::string what = to_string(shape) + " " + recipe.name() + variant.name;
        const Outcome found = train(mesh, config, start, recipe, variant);
        const double loss = compare_curves(found.losses, expected.losses, what + " loss");
        const double norm = compare_curves(found.norms, expected.norms, what + " gradient norm");
        print_largest(*world, what, loss, norm, compare_weights(config, mesh, found, expected, start, recipe, what));
      }
    }
  }
}

TEST(EqualityGate, EveryMeshEqualsOneRank) { gate(testing::tiny_config(), {{"llm"}, {"sa_proj"}, {"mlp_gate_up"}, {"full"}}); }

TEST(EqualityGate, TiedHeadToo) { gate(testing::tiny_config(/*tied_head=*/true), {{"llm"}}); }

TEST(EqualityGate, WindowedTowersAndMultimodalPositionsToo) { gate(testing::tiny_qwen_config(), {{"sa_qkv"}, {"full"}}); }

TEST(EqualityGate, LlavaOneAndAHalf) { gate(testing::tiny_llava_1_5_config(), {{"mlp_gate_up"}, {"full"}}); }

TEST(EqualityGate, LlavaNext) { gate(testing::tiny_next_config(), {{"sa_proj"}, {"full"}}); }

TEST(EqualityGate, LearningWithoutForgettingToo) {
  gate(testing::tiny_config(), {{"mlp", "lwf", "lambda = 2.0"}, {"full", "lwf", "positions = \"released\""}}, kMethodVariants);
}

TEST(EqualityGate, AdaptersToo) {
  gate(testing::tiny_config(), {{"mlp+sa_proj", "lora", "rank = 3\ndropout = 0.2\nmerge = false"}, {"mlp", "lora", "rank = 2\nalso_train = [\"projector\"]"}},
       kMethodVariants);
  gate(testing::tiny_qwen_config(), {{"sa_proj+vision+projector", "lora", "rank = 2\nmerge = false\nrslora = true"}}, kMethodVariants);
}

TEST(EqualityGate, ExpertsToo) { gate(testing::tiny_config(), {{"mlp", "moe"}}, kMethodVariants); }

TEST(EqualityGate, AnchorsToo) { gate(testing::tiny_config(), {{"full", "l2", "lambda = 0.5"}}, kMethodVariants); }

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
