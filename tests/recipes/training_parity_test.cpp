// SPDX-License-Identifier: Apache-2.0
// Eight optimizer steps under every recipe against transformers and torch.optim.AdamW: losses, gradient norms and final
// weights (fixtures: tests/fixtures/training; micro-batch i of step s is (2s + i) mod 5).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "framework/base/json.h"
#include "models/lmm/table.h"
#include "models/weights/load.h"
#include "models/weights/name_map.h"
#include "models/weights/safetensors.h"
#include "parallel/comm/mpi_communicator.h"
#include "recipes/training/schedule.h"
#include "recipes/training/train_step.h"
#include "tests/recipes/oracle_training.h"

namespace retain::recipes {
namespace {

namespace json = framework::json;
using models::LmmConfig;
using models::SafetensorsDirectory;
using parallel::Mesh;
using parallel::MeshShape;

const std::filesystem::path kTraining = testing::oracle_place("E_training", "training");
const std::filesystem::path kModel = testing::oracle_place("D_models/llava_onevision/hub", "models/llava_onevision/hub");
using testing::kAccumulation, testing::kBatches, testing::kSteps;
constexpr double kLossBound = 2e-5, kNormBound = 1e-5, kValueBound = 5e-5;  // the oracle's recommendations

/// The step's loss from the fixture's micro-batch means: their mean, or weighted by their answers (the fixture's own `loss` is
/// the mean in both cases).
double loss_of(const json::object& step, const std::vector<std::vector<models::Sample>>& batches, int s, bool by_token) {
  double sum = 0, weights = 0;
  for (int i = 0; i < kAccumulation; ++i) {
    const auto& samples = batches[static_cast<std::size_t>((kAccumulation * s + i) % kBatches)];
    const double weight = by_token ? static_cast<double>(testing::answers_of(samples)) : 1.0;
    sum += weight * step.at("micro_losses").as_array().at(static_cast<std::size_t>(i)).to_number<double>();
    weights += weight;
  }
  return sum / weights;
}

struct Fixture {
  std::string file;                   ///< fixture name
  std::vector<std::string> patterns;  ///< what Retain calls it
};

void check(const Mesh& mesh, const Fixture& fixture) {
  const std::string what = to_string(mesh.shape()) + " " + fixture.file;
  const json::object expected = framework::read_json(kTraining / (fixture.file + ".json")).as_object();
  const LmmConfig config = models::read_config(kModel);
  const auto partition = models::partition_for(config, mesh.shape().pipeline);
  const auto table = models::build_table(config, mesh.shape().tensor, partition, framework::DType::float32);
  models::Lmm model(config, mesh, partition, table,
                    models::load_parameters(kModel, config, table, mesh.position().tensor, mesh.position().pipeline), {});
  std::vector<at::Tensor> before;
  for (const parallel::Parameter& parameter : model.parameters().all()) before.push_back(parameter.value.detach().clone());

  std::vector<std::string> names, selected_names;
  for (const auto& row : table.rows()) names.push_back(row.name);
  const std::vector<Selected> selected = select(table, {{fixture.patterns, 0}});
  std::set<std::string> oracle_names;
  for (const json::value& name : expected.at("trainable").as_array())
    oracle_names.insert(models::resolve_name(config, names, std::string(name.as_string())).value());
  for (const Selected& one : selected) EXPECT_TRUE(oracle_names.contains(one.name)) << what << ": " << one.name;
  ASSERT_EQ(selected.size(), oracle_names.size()) << what;

  TrainSettings settings;
  settings.clip = expected.at("clip").to_number<double>();
  TrainStep step(model, settings, selected);
  const SafetensorsDirectory file = SafetensorsDirectory::of_file(kTraining / "batches.safetensors");
  std::vector<std::vector<models::Sample>> batches;
  for (int i = 0; i < kBatches; ++i) batches.push_back(testing::oracle_samples(config, file, i));
  const bool by_token = expected.at("loss_rule").as_string() == "token_normalised";
  for (int s = 0; s < kSteps; ++s) {
    const json::object& wanted = expected.at("steps").as_array().at(static_cast<std::size_t>(s)).as_object();
    const double rate = 1e-3 * learning_rate_factor(Schedule::cosine, s, warmup_steps(0.03, kSteps), kSteps);
    EXPECT_NEAR(rate, wanted.at("lr").to_number<double>(), 1e-12);
    std::vector<models::MicroBatch> mine = testing::oracle_step(batches, s, by_token);
    if (mesh.shape().data == 2) mine = {mine[static_cast<std::size_t>(mesh.position().data)]};
    const StepResult result = step.run(mine, {rate});
    EXPECT_NEAR(result.loss, loss_of(wanted, batches, s, by_token), kLossBound) << what << " step " << s;
    const double norm = wanted.at("grad_norm_before_clip").to_number<double>();
    EXPECT_NEAR(result.grad_norm, norm, kNormBound * norm) << what << " step " << s;
  }

  std::set<std::string> noisy;
  if (expected.contains("noise_dominated"))
    for (const json::value& name : expected.at("noise_dominated").as_array())
      noisy.insert(models::resolve_name(config, names, std::string(name.as_string())).value());
  const SafetensorsDirectory finals = SafetensorsDirectory::of_file(kTraining / (fixture.file + ".safetensors"));
  std::map<std::string, std::string> stored;
  for (const std::string& name : finals.names())
    if (name.starts_with("final.")) stored[models::resolve_name(config, names, name.substr(6)).value()] = name;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const parallel::Parameter& parameter = model.parameters().all()[i];
    const std::string& name = parameter.spec.name;
    // The fixture keeps no final values of what is trained but never reached (SigLIP's post_layernorm).
    const bool unreached = name.starts_with("vision.post_layernorm.");
    if (!oracle_names.contains(name) || unreached) {
      EXPECT_TRUE(at::equal(parameter.value.detach(), before[i])) << what << ": " << name << " must not change";
    } else if (!noisy.contains(name)) {
      ASSERT_TRUE(stored.contains(name)) << what << ": " << name;
      testing::expect_samples(parameter, finals.read(stored[name]), mesh.position().tensor, kValueBound, what);
    }
  }
}

TEST(TrainingParity, EveryRecipeEqualsTheReference) {
  const std::vector<Fixture> fixtures = {{"sa_proj", {"sa_proj"}}, {"sa_qkv", {"sa_qkv"}}, {"mlp", {"mlp"}},
                                         {"mlp_gate_up", {"mlp_gate_up"}}, {"llm", {"llm"}}, {"vision", {"vision"}},
                                         {"projector", {"projector"}}, {"vision_projector", {"vision_projector"}},
                                         {"full", {"full"}}, {"full_token_normalised", {"full"}},
                                         {"mlp_clip_inactive", {"mlp_gate_up+mlp_down"}}};
  const auto world = parallel::open_world();
  std::vector<MeshShape> shapes = {{1, 1, 1}};
  if (world->size() == 4) shapes = {{1, 2, 2}, {2, 1, 2}, {2, 2, 1}};
  for (const MeshShape& shape : shapes) {
    const Mesh mesh(world, shape);
    for (const Fixture& fixture : fixtures) check(mesh, fixture);
  }
}

}  // namespace
}  // namespace retain::recipes
