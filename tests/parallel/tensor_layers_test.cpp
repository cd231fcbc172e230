// SPDX-License-Identifier: Apache-2.0
// Every layer cut over the tensor group against its whole twin, forward and backward, with even and uneven cuts.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "framework/base/error.h"
#include "parallel/collective_ops.h"
#include "parallel/comm/mpi_communicator.h"
#include "parallel/tensor/gemm.h"
#include "parallel/tensor/linear.h"
#include "parallel/tensor/vocab_argmax.h"
#include "parallel/tensor/vocab_cross_entropy.h"
#include "parallel/tensor/vocab_embedding.h"

namespace retain::parallel {
namespace {

Communicator& group() {
  static const std::shared_ptr<Communicator> world = open_world();
  return *world;
}

at::Tensor random(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::TensorOptions().dtype(at::kFloat));
}

void expect_close(const at::Tensor& found, const at::Tensor& expected, double tolerance = 2e-6) {
  ASSERT_EQ(found.sizes(), expected.sizes());
  if (expected.numel() == 0) return;
  const double scale = std::max(1.0, expected.abs().max().item<double>());
  EXPECT_LT((found.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>(), tolerance * scale);
}

/// This rank's slice of a whole tensor, as a trained parameter.
Parameter cut(const std::string& name, const at::Tensor& whole, int dimension) {
  Parameter parameter;
  parameter.spec = {name, whole.sizes().vec(), framework::DType::float32, dimension, {}, {0}};
  at::Tensor local = whole;
  if (dimension >= 0) {
    for (int rank = 0; rank < group().size(); ++rank)
      parameter.spec.cuts.push_back(even_share(whole.size(dimension), group().size(), rank));
    const Range range = parameter.spec.cuts[static_cast<std::size_t>(group().rank())];
    local = whole.narrow(dimension, range.begin, range.size());
  }
  parameter.value = local.detach().clone().contiguous().requires_grad_(true);
  return parameter;
}

at::Tensor slice_of(const at::Tensor& whole, int dimension) {
  const Range range = even_share(whole.size(dimension), group().size(), group().rank());
  return whole.narrow(dimension, range.begin, range.size());
}

TEST(TensorParallel, LinearMatchesAtenForwardAndBackward) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const double tolerance = type == at::kFloat ? 2e-6 : 2e-2;
    for (const std::int64_t tokens : {0, 1, 37}) {
      std::vector<at::Tensor> ours = {random({tokens, 24}, 1).to(type), random({18, 24}, 2).to(type), random({18}, 3).to(type)};
      std::vector<at::Tensor> theirs;
      for (at::Tensor& tensor : ours) {
        theirs.push_back(tensor.to(at::kDouble).requires_grad_(true));
        tensor.requires_grad_(true);
      }
      const at::Tensor seed = random({tokens, 18}, 4).to(type);
      const at::Tensor y = apply_linear(ours[0], ours[1], ours[2]), expected = at::linear(theirs[0], theirs[1], theirs[2]);
      expect_close(y, expected, tolerance);
      torch::autograd::backward({y}, {seed});
      torch::autograd::backward({expected}, {seed.to(at::kDouble)});
      for (std::size_t i = 0; i < ours.size(); ++i) expect_close(ours[i].grad(), theirs[i].grad(), tolerance);
    }
  }
}

TEST(TensorParallel, AFrozenLinearKeepsNothingItDoesNotNeed) {
  const at::Tensor x = random({5, 6}, 1).requires_grad_(true), weight = random({4, 6}, 2), bias = random({4}, 3);
  torch::autograd::backward({apply_linear(x, weight, bias).sum()}, {});
  expect_close(x.grad(), weight.sum(0).expand({5, 6}));
  EXPECT_FALSE(weight.grad().defined());
  EXPECT_FALSE(apply_linear(x.detach(), weight, bias).requires_grad());
}

TEST(TensorParallel, ColumnThenRowEqualsTheWhole) {
  for (const std::int64_t inner : {12, 7, 2}) {  // 2: with more ranks some hold nothing
    const at::Tensor up = random({inner, 10}, 1), up_bias = random({inner}, 2), down = random({9, inner}, 3), down_bias = random({9}, 4);
    const ParameterSet parameters({cut("up.weight", up, 0), cut("up.bias", up_bias, 0), cut("down.weight", down, 1), cut("down.bias", down_bias, -1)});
    const Linear column(parameters, "up", group()), row(parameters, "down", group());
    const at::Tensor x = random({5, 10}, 5).requires_grad_(true), seed = random({5, 9}, 6);
    const at::Tensor y = row.forward(at::tanh(column.forward(copy_to_tensor_group(x, group()))));
    torch::autograd::backward({y}, {seed});

    const at::Tensor x2 = x.detach().clone().requires_grad_(true);
    std::vector<at::Tensor> whole;
    for (const at::Tensor& weight : {up, up_bias, down, down_bias}) whole.push_back(weight.detach().clone().requires_grad_(true));
    const at::Tensor expected = at::linear(at::tanh(at::linear(x2, whole[0], whole[1])), whole[2], whole[3]);
    torch::autograd::backward({expected}, {seed});
    expect_close(y, expected);
    expect_close(x.grad(), x2.grad());
    expect_close(parameters.at("up.weight").grad(), slice_of(whole[0].grad(), 0));
    expect_close(parameters.at("up.bias").grad(), slice_of(whole[1].grad(), 0));
    expect_close(parameters.at("down.weight").grad(), slice_of(whole[2].grad(), 1));
    expect_close(parameters.at("down.bias").grad(), whole[3].grad());
  }
}

TEST(TensorParallel, FrozenInputsSendNothingInTheBackwardPass) {
  const ParameterSet parameters({cut("up.weight", random({8, 6}, 1), 0), cut("down.weight", random({6, 8}, 2), 1)});
  const Linear column(parameters, "up", group()), row(parameters, "down", group());
  const at::Tensor y = row.forward(column.forward(copy_to_tensor_group(random({3, 6}, 3), group())));
  const std::int64_t before = group().bytes_sent();
  torch::autograd::backward({y.sum()}, {});
  EXPECT_EQ(group().bytes_sent(), before);
}

TEST(TensorParallel, VocabularyEmbedding) {
  const std::int64_t vocabulary = 11;
  const at::Tensor whole = random({vocabulary, 5}, 1);
  const Parameter embedding = cut("embed", whole, 0);
  const Range rows = even_share(vocabulary, group().size(), group().rank());
  const at::Tensor ids = at::tensor({3, 0, -1, 10, 3, 7, -1, 3}, at::kLong), seed = random({8, 5}, 2);
  const at::Tensor y = vocab_embedding(ids, embedding.value, rows, vocabulary, group());
  torch::autograd::backward({y}, {seed});
  const at::Tensor whole2 = whole.clone().requires_grad_(true);
  const at::Tensor text = (ids >= 0).to(at::kFloat).unsqueeze(1);
  const at::Tensor expected = whole2.index_select(0, ids.clamp_min(0)) * text;
  torch::autograd::backward({expected}, {seed});
  EXPECT_TRUE(at::equal(y.detach(), expected.detach()));
  expect_close(embedding.value.grad(), slice_of(whole2.grad(), 0));
  EXPECT_THROW(vocab_embedding(at::tensor({11}, at::kLong), embedding.value, rows, vocabulary, group()), framework::Error);
}

TEST(TensorParallel, VocabularyCrossEntropy) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
    for (const std::int64_t vocabulary : {3, 11, 64}) {
      const at::Tensor whole = (4 * random({6, vocabulary}, 1)).to(type);
      const Range columns = even_share(vocabulary, group().size(), group().rank());
      const at::Tensor targets = at::tensor({0, 2, 1, 2, 0, 1}, at::kLong) * ((vocabulary - 1) / 2);
      const at::Tensor weights = at::tensor({0.5F, 0.25F, 0.1F, 1.0F, 0.0F, 2.0F});
      const at::Tensor leaf = whole.narrow(1, columns.begin, columns.size()).clone().requires_grad_(true);
      const at::Tensor loss = vocab_cross_entropy(leaf.clone(), targets, weights, columns, group());
      torch::autograd::backward({3 * loss}, {});
      const at::Tensor leaf2 = whole.to(at::kDouble).requires_grad_(true);
      const at::Tensor expected = (at::cross_entropy_loss(leaf2, targets, {}, at::Reduction::None) * weights).sum();
      torch::autograd::backward({3 * expected}, {});
      EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 2e-6 * std::max(1.0, expected.item<double>()));
      expect_close(leaf.grad(), leaf2.grad().narrow(1, columns.begin, columns.size()), type == at::kFloat ? 2e-6 : 8e-3);
    }
}

TEST(TensorParallel, CrossEntropyOfNoPositionsIsZero) {
  const Range columns = even_share(9, group().size(), group().rank());
  const at::Tensor leaf = at::empty({0, columns.size()}).requires_grad_(true);
  const at::Tensor none = at::empty({0}, at::kLong);
  const at::Tensor loss = vocab_cross_entropy(leaf.clone(), none, at::empty({0}), columns, group());
  EXPECT_EQ(loss.item<float>(), 0.0F);
  torch::autograd::backward({loss}, {});
}

TEST(TensorParallel, VocabularyArgmaxTakesTheSmallestIdAmongEquals) {
  at::Tensor whole = random({4, 10}, 1);
  whole[1].fill_(2.0F);
  whole[2][9] = 50.0F;
  whole[3][4] = whole[3][8] = 60.0F;
  const Range columns = even_share(10, group().size(), group().rank());
  const at::Tensor found = vocab_argmax(whole.narrow(1, columns.begin, columns.size()).contiguous(), columns, group());
  EXPECT_TRUE(at::equal(found, at::tensor({whole[0].argmax().item<std::int64_t>(), std::int64_t{0}, std::int64_t{9}, std::int64_t{4}}, at::kLong)));
}

}  // namespace
}  // namespace retain::parallel
