// SPDX-License-Identifier: Apache-2.0
// Learning without forgetting against torch and transformers (fixtures: tests/fixtures/training/lwf.*), cut over any mesh.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <set>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/lmm/inference.h"
#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"
#include "parallel/comm/mpi_communicator.h"
#include "parallel/tensor/vocab_distillation.h"
#include "recipes/methods/lwf.h"
#include "recipes/settings/experiment.h"
#include "tests/recipes/oracle_training.h"

namespace retain::recipes {
namespace {

const std::filesystem::path kTraining = testing::oracle_place("E_training", "training");
const std::filesystem::path kModel = testing::oracle_place("D_models/llava_onevision/hub", "models/llava_onevision/hub");
constexpr double kBound = 1e-6;

std::shared_ptr<const Method> lwf_of(const std::string& keys) {
  const framework::ConfigFile file = framework::ConfigFile::parse(keys, "test");
  const framework::ConfigTable root = file.root();
  const MethodRegistry methods;
  auto method = methods.make("lwf", {root, {{{"sa_proj"}, 0}}});
  root.reject_unknown();
  return method;
}

TEST(Lwf, LossAndGradientEqualTheReferenceOnAnyCut) {
  const auto world = parallel::open_world();
  const models::SafetensorsDirectory file = models::SafetensorsDirectory::of_file(kTraining / "lwf.safetensors");
  for (const char* reading : {"shifted", "unshifted"}) {
    const at::Tensor rows = file.read(std::string("mask_") + reading).nonzero().squeeze(1);
    const at::Tensor student = file.read("student_logits").index_select(0, rows), teacher = file.read("teacher_logits").index_select(0, rows);
    const parallel::Range columns = parallel::even_share(student.size(1), world->size(), world->rank());
    const at::Tensor leaf = student.narrow(1, columns.begin, columns.size()).clone().requires_grad_(true);
    const at::Tensor weights = at::full({rows.size(0)}, 1.0 / static_cast<double>(rows.size(0)), at::kFloat);
    const at::Tensor loss =
        parallel::vocab_distillation(leaf, teacher.narrow(1, columns.begin, columns.size()).contiguous(), weights, 2.0, *world);
    EXPECT_NEAR(loss.item<double>(), file.read(std::string("kd_loss_") + reading).item<double>(), kBound) << reading;
    if (std::string(reading) == "unshifted") continue;
    torch::autograd::backward({loss}, {});
    const at::Tensor expected = file.read("grad_student_logits_shifted").index_select(0, rows).narrow(1, columns.begin, columns.size());
    EXPECT_LT((leaf.grad() - expected).abs().max().item<double>(), kBound);
  }
}

TEST(Lwf, TheWholeModelGivesTheReferencesTerm) {
  const auto world = parallel::open_world();
  std::vector<parallel::MeshShape> shapes = {{1, 1, world->size()}, {1, world->size(), 1}};
  if (world->size() == 4) shapes = {{1, 2, 2}, {2, 2, 1}};
  const framework::json::object expected = framework::read_json(kTraining / "lwf.json").as_object();
  const models::LmmConfig config = models::read_config(kModel);
  const models::DirectorySource teacher(kModel, config), student(kTraining / "wise_ft/tuned", config);
  const auto method = lwf_of("lambda = 1.0\ntemperature = 2.0\n");
  for (const parallel::MeshShape& shape : shapes) {
    const parallel::Mesh mesh(world, shape);
    const auto partition = models::partition_for(config, shape.pipeline);
    const auto table = models::build_table(config, shape.tensor, partition, framework::DType::float32);
    models::Lmm model(config, mesh, partition, table, models::load_parameters(student, table, mesh.position().tensor, mesh.position().pipeline), {});
    const auto samples = testing::oracle_samples(config, models::SafetensorsDirectory::of_file(kTraining / "batches.safetensors"), 0);
    std::int64_t answers = 0;
    for (const models::Sample& sample : samples) answers += sample.answers();
    const std::vector<models::MicroBatch> batches = {models::pack(samples, models::LossAverage::token, 2, answers)};
    const std::vector<Selected> selected = method->select(table);
    const TrainSettings settings;
    const auto run = method->begin({model, selected, settings, &teacher, &student});
    run->before_step(batches);
    const at::NoGradGuard no_gradient;
    const at::Tensor hidden_TH = models::forward_through_pipeline(model, batches[0]);
    if (!mesh.is_last_pipeline_stage()) continue;
    EXPECT_NEAR(run->loss_term(0, batches[0], hidden_TH).item<double>(), expected.at("kd_loss_shifted").to_number<double>(), kBound);
    EXPECT_NEAR(model.loss(batches[0], hidden_TH).item<double>(), expected.at("ce_loss").to_number<double>(), 1e-5);
  }
}

TEST(Lwf, OnlyWhatIsTrainedIsHeldTwice) {
  const auto method = lwf_of("");
  EXPECT_EQ(method->bytes_beside(1000), 1000);
  EXPECT_EQ(method->describe().at("lambda").as_double(), 1.0);
  EXPECT_EQ(method->describe().at("temperature").as_double(), 2.0);
  EXPECT_EQ(method->describe().at("positions").as_string(), "answers");
  EXPECT_EQ(method->reference(), "previous");
}

TEST(Lwf, ReleasedPositionsAreAFifthFromStartMiddleAndEnd) {
  const auto rows = released_rows(100, 1000, 0, 0);
  ASSERT_EQ(rows.size(), 20U);
  EXPECT_EQ(rows[0], 0);
  EXPECT_EQ(rows[7], 7);
  EXPECT_EQ(rows[8], 8);
  EXPECT_EQ(rows[9], 8 + 84 / 4);
  EXPECT_EQ(rows[12], 92);
  EXPECT_EQ(rows[19], 99);
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
  EXPECT_EQ(std::set<std::int64_t>(rows.begin(), rows.end()).size(), rows.size());
  EXPECT_EQ(released_rows(100000, 1000, 0, 0).size(), 1000U);
  EXPECT_EQ(released_rows(3, 1000, 0, 0), std::vector<std::int64_t>{2});
  EXPECT_TRUE(released_rows(0, 1000, 0, 0).empty());
}

TEST(Lwf, ReleasedPositionsAreCutWhereLogitsWouldExceedOneGibibyte) {
  const auto rows = released_rows(20000, 152064, 7, 3);
  EXPECT_EQ(rows.size(), 882U);
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
  EXPECT_EQ(rows, released_rows(20000, 152064, 7, 3));
  EXPECT_NE(rows, released_rows(20000, 152064, 7, 4));
}

TEST(Lwf, WrongSettingsAreRefused) {
  EXPECT_THROW(lwf_of("lamda = 1.0"), framework::Error);
  EXPECT_THROW(lwf_of("lambda = -1.0"), framework::Error);
  EXPECT_THROW(lwf_of("temperature = 0.0"), framework::Error);
  EXPECT_THROW(lwf_of("positions = \"everywhere\""), framework::Error);
}

}  // namespace
}  // namespace retain::recipes
