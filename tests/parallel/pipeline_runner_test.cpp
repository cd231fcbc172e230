// SPDX-License-Identifier: Apache-2.0
// The runner on real ranks: a chain of small linear layers equals the same chain on one rank, and frozen parts are free.
#include "parallel/pipeline/runner.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/comm/mpi_communicator.h"

namespace retain::parallel {
namespace {

constexpr std::int64_t kHidden = 6;

at::Tensor random(const std::vector<std::int64_t>& shape, std::uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator, at::TensorOptions());
}

/// tanh(x W_p) on every pipeline stage p; the loss is the sum of squares. Micro-batch m has m + 2 rows.
class Chain final : public PipelineComputation {
 public:
  Chain(int stage, int stages, int micro_batches, std::vector<bool> trained)
      : stage_(stage), stages_(stages), micro_batches_(micro_batches), trained_(std::move(trained)),
        weight(random({kHidden, kHidden}, static_cast<std::uint64_t>(stage) + 1)) {
    weight.requires_grad_(trained_[static_cast<std::size_t>(stage)]);
  }
  int micro_batches() const override { return micro_batches_; }
  std::vector<std::int64_t> activation_shape(int m) const override { return {m + 2, kHidden}; }
  at::ScalarType activation_type() const override { return at::kFloat; }
  bool trains(int stage, int) const override { return trained_[static_cast<std::size_t>(stage)]; }
  at::Tensor forward(int m, const at::Tensor& input) override {
    received_gradient_wanted = received_gradient_wanted || (input.defined() && input.requires_grad());
    const at::Tensor x = stage_ == 0 ? random({m + 2, kHidden}, 50 + static_cast<std::uint64_t>(m)) : input;
    const at::Tensor y = at::tanh(at::mm(x, weight));
    kept_graph = kept_graph || y.requires_grad();
    return stage_ == stages_ - 1 ? y.square().sum() : y;
  }

 private:
  int stage_, stages_, micro_batches_;
  std::vector<bool> trained_;

 public:
  at::Tensor weight;
  bool received_gradient_wanted = false;
  bool kept_graph = false;
};

/// Loss and weight gradients of the whole chain on one rank.
std::pair<double, std::vector<at::Tensor>> reference(int stages, int micro_batches, const std::vector<bool>& trained) {
  std::vector<at::Tensor> weights;
  for (int p = 0; p < stages; ++p)
    weights.push_back(random({kHidden, kHidden}, static_cast<std::uint64_t>(p) + 1).requires_grad_(trained[static_cast<std::size_t>(p)]));
  double loss = 0;
  for (int m = 0; m < micro_batches; ++m) {
    at::Tensor x = random({m + 2, kHidden}, 50 + static_cast<std::uint64_t>(m));
    for (const at::Tensor& weight : weights) x = at::tanh(at::mm(x, weight));
    const at::Tensor total = x.square().sum();
    if (total.requires_grad()) total.backward();
    loss += total.item<double>();
  }
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& weight : weights) gradients.push_back(weight.grad());
  return {loss, gradients};
}

void compare(Communicator& pipeline, int micro_batches, const std::vector<bool>& trained) {
  Chain chain(pipeline.rank(), pipeline.size(), micro_batches, trained);
  PipelineRunner runner(pipeline);
  const double loss = runner.run(chain);
  const auto [expected_loss, gradients] = reference(pipeline.size(), micro_batches, trained);
  if (pipeline.rank() == pipeline.size() - 1) EXPECT_NEAR(loss, expected_loss, 1e-4);
  const at::Tensor& expected = gradients[static_cast<std::size_t>(pipeline.rank())];
  ASSERT_EQ(expected.defined(), chain.weight.grad().defined());
  if (expected.defined()) EXPECT_TRUE(at::allclose(expected, chain.weight.grad(), 1e-5, 1e-6));
}

TEST(PipelineRunner, EqualsOneRankForEveryFreezing) {
  const auto world = open_world();
  const int stages = world->size();
  for (unsigned mask = 0; mask < (1U << stages); ++mask) {
    std::vector<bool> trained;
    for (int p = 0; p < stages; ++p) trained.push_back((mask >> p) & 1U);
    for (const int micro_batches : {0, 1, 2, 5}) compare(*world, micro_batches, trained);
  }
}

TEST(PipelineRunner, FrozenStagesBelowAreFree) {
  const auto world = open_world();
  std::vector<bool> trained(static_cast<std::size_t>(world->size()));
  trained.back() = true;
  Chain chain(world->rank(), world->size(), 4, trained);
  PipelineRunner runner(*world);
  const std::int64_t before = world->bytes_sent();
  runner.run(chain);
  const bool last = world->rank() == world->size() - 1;
  const std::int64_t activations = (2 + 3 + 4 + 5) * kHidden * 4;
  EXPECT_EQ(world->bytes_sent() - before, last ? 0 : activations) << "only activations travel";
  EXPECT_EQ(chain.kept_graph, last);
  EXPECT_FALSE(chain.received_gradient_wanted);
  EXPECT_EQ(runner.savings().backward_passes, last ? 0 : 4);
  EXPECT_EQ(runner.savings().gradient_bytes, world->rank() == 0 ? 0 : activations);
}

TEST(PipelineRunner, EvaluateKeepsNothingAndAddsTheLosses) {
  const auto world = open_world();
  Chain chain(world->rank(), world->size(), 3, std::vector<bool>(static_cast<std::size_t>(world->size()), true));
  PipelineRunner runner(*world);
  const double loss = runner.evaluate(chain);
  EXPECT_FALSE(chain.kept_graph);
  if (world->rank() == world->size() - 1)
    EXPECT_NEAR(loss, reference(world->size(), 3, std::vector<bool>(static_cast<std::size_t>(world->size()), false)).first, 1e-4);
}

}  // namespace
}  // namespace retain::parallel
