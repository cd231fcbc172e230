// SPDX-License-Identifier: Apache-2.0
// Gradient reduction on several ranks against the sum computed on one: data, overlapping slices, tied embeddings, absent
// gradients, sharded optimizer state, norms.
#include "parallel/data_parallel.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "parallel/comm/mpi_communicator.h"
#include "parallel/gradient_norm.h"
#include "parallel/optimizer.h"

namespace retain::parallel {
namespace {

using framework::DType;

ParameterSpec spec_of(std::string name, std::vector<std::int64_t> shape, int cut, std::vector<Range> cuts,
                      std::vector<int> stages) {
  ParameterSpec spec;
  spec.name = std::move(name);
  spec.shape = std::move(shape);
  spec.cut_dimension = cut;
  spec.cuts = std::move(cuts);
  spec.pipeline_stages = std::move(stages);
  return spec;
}

/// A table with every kind of row, for `tensors` tensor ranks and `stages` pipeline stages.
std::vector<ParameterSpec> specs(int tensors, int stages) {
  std::vector<Range> even, shared;
  for (int t = 0; t < tensors; ++t) {
    even.push_back(even_share(10, tensors, t));
    const std::int64_t head = t * 2 / tensors;  // two heads of three rows, shared where there are more ranks than heads
    shared.push_back(tensors <= 2 ? Range{even_share(2, tensors, t).begin * 3, even_share(2, tensors, t).end * 3}
                                  : Range{head * 3, head * 3 + 3});
  }
  return {spec_of("tied", {10, 4}, 0, even, stages > 1 ? std::vector<int>{0, stages - 1} : std::vector<int>{0}),
          spec_of("replicated", {5}, -1, {}, {0}),
          spec_of("rows", {10, 3}, 0, even, {stages - 1}),
          spec_of("columns", {3, 10}, 1, even, {0}),
          spec_of("shared", {6, 4}, 0, shared, {stages - 1}),
          spec_of("absent", {4}, -1, {}, {0})};
}

at::Tensor random(const std::vector<std::int64_t>& shape, std::uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator, at::TensorOptions());
}

at::Tensor slice(const ParameterSpec& spec, const at::Tensor& whole, int tensor_rank) {
  if (spec.cut_dimension < 0) return whole.clone();
  const Range cut = spec.cuts[static_cast<std::size_t>(tensor_rank)];
  return whole.narrow(spec.cut_dimension, cut.begin, cut.size()).contiguous();
}

/// The whole gradient of parameter i that data rank d contributes.
at::Tensor contribution(const ParameterSpec& spec, std::size_t i, int d) { return random(spec.shape, 100 * i + static_cast<std::uint64_t>(d)); }

struct Case {
  Case(const Mesh& the_mesh, bool zero)
      : mesh(the_mesh), rows(specs(mesh.shape().tensor, mesh.shape().pipeline)), parameters(make()), gradients(parameters, DType::float32),
        reducer(gradients, mesh, zero, 16), optimizer(gradients, reducer, {}) {}

  ParameterSet make() const {
    std::vector<Parameter> list;
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (rows[i].held_by(mesh.position().pipeline))
        list.push_back({rows[i], slice(rows[i], random(rows[i].shape, 7 + i), mesh.position().tensor).requires_grad_(true)});
    return ParameterSet(std::move(list));
  }
  std::size_t row_of(const std::string& name) const {
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (rows[i].name == name) return i;
    return rows.size();
  }
  std::vector<int> sharers(const ParameterSpec& spec, std::int64_t row) const {
    std::vector<int> ranks;
    for (int t = 0; t < mesh.shape().tensor; ++t)
      if (spec.cuts[static_cast<std::size_t>(t)].begin <= row && row < spec.cuts[static_cast<std::size_t>(t)].end) ranks.push_back(t);
    return ranks;
  }
  /// This rank's gradient such that the sum over all that share an element is the whole contribution.
  at::Tensor local_gradient(const ParameterSpec& spec, int d) const {
    const std::size_t i = row_of(spec.name);
    at::Tensor whole = contribution(spec, i, d);
    if (spec.name == "tied" && mesh.shape().pipeline > 1) whole = whole * (mesh.is_first_pipeline_stage() ? 0.25 : 0.75);
    if (spec.overlapping())
      for (std::int64_t row = 0; row < spec.shape[0]; ++row) whole[row] /= static_cast<double>(sharers(spec, row).size());
    return slice(spec, whole, mesh.position().tensor);
  }
  void fill() {
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const ParameterSpec& spec = gradients.parameter(i).spec;
      if (spec.name == "absent") continue;
      // The last data rank has no picture, so to say: nothing reaches "replicated" and "columns" there.
      const bool missing = mesh.data().rank() == mesh.data().size() - 1 && mesh.data().size() > 1 &&
                           (spec.name == "replicated" || spec.name == "columns");
      if (!missing) gradients.set(i, local_gradient(spec, mesh.data().rank()));
    }
  }
  at::Tensor expected(std::size_t i) const {
    at::Tensor sum = at::zeros(rows[i].shape);
    const int data = mesh.data().size();
    const bool some_missing = data > 1 && (rows[i].name == "replicated" || rows[i].name == "columns");
    for (int d = 0; d < data - some_missing; ++d) sum += contribution(rows[i], i, d);
    return sum;
  }

  const Mesh& mesh;
  std::vector<ParameterSpec> rows;
  ParameterSet parameters;
  Gradients gradients;
  GradientReducer reducer;
  Optimizer optimizer;
};

std::vector<MeshShape> shapes_for(int ranks) {
  if (ranks == 1) return {{1, 1, 1}};
  if (ranks == 2) return {{2, 1, 1}, {1, 2, 1}, {1, 1, 2}};
  if (ranks == 4) return {{2, 2, 1}, {1, 1, 4}, {2, 1, 2}, {4, 1, 1}, {1, 2, 2}};
  return {{2, 2, 2}, {2, 1, 4}};
}

TEST(DataParallel, ReducesToTheSumOnEveryMesh) {
  const auto world = open_world();
  for (const MeshShape& shape : shapes_for(world->size()))
    for (const bool zero : {false, true}) {
      const Mesh mesh(world, shape);
      Case test(mesh, zero);
      test.fill();
      const ReducedGradients reduced = test.reducer.reduce();
      for (const GradientPiece& piece : reduced.pieces) {
        const ParameterSpec& spec = test.gradients.parameter(piece.where.parameter).spec;
        if (spec.name == "absent") {
          EXPECT_FALSE(piece.values.defined());
          continue;
        }
        const at::Tensor whole = slice(spec, test.expected(test.row_of(spec.name)), mesh.position().tensor).view(-1);
        const at::Tensor part = whole.narrow(0, piece.where.begin, piece.where.size());
        EXPECT_TRUE(at::allclose(piece.values, part, 1e-5, 1e-6)) << to_string(shape) << " " << spec.name;
      }
    }
}

TEST(DataParallel, TheNormCountsEveryElementOnce) {
  const auto world = open_world();
  for (const MeshShape& shape : shapes_for(world->size()))
    for (const bool zero : {false, true}) {
      const Mesh mesh(world, shape);
      Case test(mesh, zero);
      test.fill();
      const ReducedGradients reduced = test.reducer.reduce();
      at::Tensor square = at::full({1}, squared_norm_part(test.gradients, reduced.pieces, test.reducer.sharded(), mesh), at::kDouble);
      world->all_reduce(square);
      double expected = 0;
      for (std::size_t i = 0; i < test.rows.size(); ++i)
        if (test.rows[i].name != "absent") expected += test.expected(i).to(at::kDouble).square().sum().item<double>();
      EXPECT_NEAR(square.item<double>(), expected, 1e-5 * expected) << to_string(shape) << " zero " << zero;
    }
}

TEST(DataParallel, ShardedStateGivesTheSameBitsAsUnsharded) {
  const auto world = open_world();
  for (const MeshShape& shape : shapes_for(world->size())) {
    const Mesh mesh(world, shape);
    Case plain(mesh, false), sharded(mesh, true);
    for (int step = 0; step < 3; ++step)
      for (Case* one : {&plain, &sharded}) {
        one->fill();
        one->optimizer.step(one->reducer.reduce(), 0.7, std::vector<double>(one->gradients.size(), 1e-2));
        one->reducer.gather_parameters();
      }
    for (std::size_t i = 0; i < plain.parameters.all().size(); ++i) {
      const at::Tensor& start = random(plain.parameters.all()[i].spec.shape, 7 + plain.row_of(plain.parameters.all()[i].spec.name));
      EXPECT_TRUE(at::equal(plain.parameters.all()[i].value, sharded.parameters.all()[i].value)) << to_string(shape);
      const bool changed = !at::equal(plain.parameters.all()[i].value, slice(plain.parameters.all()[i].spec, start, mesh.position().tensor));
      EXPECT_EQ(changed, plain.parameters.all()[i].spec.name != "absent");
    }
    if (shape.data > 1) EXPECT_LT(sharded.optimizer.bytes(), plain.optimizer.bytes());
  }
}

TEST(DataParallel, NothingIsSentForWhatIsFrozen) {
  const auto world = open_world();
  const Mesh mesh(world, {world->size(), 1, 1});
  Case test(mesh, false);
  for (Parameter& parameter : test.parameters.all()) parameter.value.requires_grad_(parameter.spec.name == "rows");
  Gradients gradients(test.parameters, DType::float32);
  GradientReducer reducer(gradients, mesh, false);
  gradients.set(0, at::ones({10, 3}));
  const std::int64_t before = mesh.data().bytes_sent();
  reducer.reduce();
  const std::int64_t sent = mesh.data().bytes_sent() - before;
  if (world->size() == 1) {
    EXPECT_EQ(sent, 0);
  } else {
    EXPECT_GT(sent, 0);
    EXPECT_LE(sent, 2 * (30 * 4 + 4));  // the trained gradient and one flag, at most twice over
  }
}

}  // namespace
}  // namespace retain::parallel
