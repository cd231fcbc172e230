// SPDX-License-Identifier: Apache-2.0
// The pull to an earlier stage: its term and its gradient, element by element, on any cut and with sharded state.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/base/error.h"
#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"
#include "parallel/comm/mpi_communicator.h"
#include "recipes/methods/l2.h"
#include "recipes/training/train_step.h"
#include "tests/recipes/oracle_training.h"

namespace retain::recipes {
namespace {

const std::filesystem::path kTraining = testing::oracle_place("E_training", "training");
const std::filesystem::path kModel = testing::oracle_place("D_models/llava_onevision/hub", "models/llava_onevision/hub");

std::shared_ptr<const L2> l2_of(const std::string& keys) {
  const framework::ConfigFile file = framework::ConfigFile::parse(keys, "test");
  const framework::ConfigTable root = file.root();
  auto method = std::make_shared<L2>(MethodSetup{root, {{{"sa_proj"}, 0}}});
  root.reject_unknown();
  return method;
}

TEST(L2, TermAndGradientAreTheFormula) {
  const auto world = parallel::open_world();
  const models::LmmConfig config = models::read_config(kModel);
  const models::DirectorySource anchor(kModel, config), start(kTraining / "wise_ft/tuned", config);
  const auto method = l2_of("lambda = 0.5");
  std::vector<parallel::MeshShape> shapes = {{1, 1, 1}};
  if (world->size() == 2) shapes = {{2, 1, 1}, {1, 2, 1}, {1, 1, 2}};
  for (const parallel::MeshShape& shape : shapes)
    for (const bool zero : {false, true}) {
      const parallel::Mesh mesh(world, shape);
      const auto partition = models::partition_for(config, shape.pipeline);
      const auto table = models::build_table(config, shape.tensor, partition, framework::DType::float32);
      models::Lmm model(config, mesh, partition, table, models::load_parameters(start, table, mesh.position().tensor, mesh.position().pipeline), {});
      const std::vector<Selected> selected = method->select(table);
      const TrainSettings settings;
      const auto run = method->begin({model, selected, settings, &anchor, &start});
      mark_trainable(model.parameters(), selected);
      parallel::Gradients gradients(model.parameters(), framework::DType::float32);
      parallel::GradientReducer reducer(gradients, mesh, zero);
      parallel::ReducedGradients reduced = reducer.reduce();  // nobody had a gradient
      at::Tensor term = at::full({1}, run->after_reduction(gradients, reduced, reducer.sharded()), at::kDouble);
      world->all_reduce(term);
      double squares = 0;
      for (const Selected& one : selected)
        squares += (models::read_tensor(start, one.name) - models::read_tensor(anchor, one.name)).to(at::kDouble).square().sum().item<double>();
      EXPECT_GT(squares, 1e-4);
      EXPECT_NEAR(term.item<double>(), 0.25 * squares, 1e-6 * squares) << to_string(shape);
      for (const parallel::GradientPiece& piece : reduced.pieces) {
        const parallel::ParameterSpec& spec = gradients.parameter(piece.where.parameter).spec;
        const at::Tensor whole = 0.5 * (models::read_tensor(start, spec.name) - models::read_tensor(anchor, spec.name));
        const at::Tensor expected = spec.slice_of(whole, mesh.position().tensor).view(-1).narrow(0, piece.where.begin, piece.where.size());
        ASSERT_TRUE(piece.values.defined());
        if (expected.numel() > 0) EXPECT_LT((piece.values - expected).abs().max().item<double>(), 1e-7) << spec.name;
      }
    }
}

TEST(L2, WrongSettingsAreRefused) {
  for (const char* keys : {"", "lambda = -1.0", "lambda = 1.0\nalpha = 2"}) EXPECT_THROW(l2_of(keys), framework::Error) << keys;
}

}  // namespace
}  // namespace retain::recipes
