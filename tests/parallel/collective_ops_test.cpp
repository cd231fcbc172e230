// SPDX-License-Identifier: Apache-2.0
// Differentiable collectives: a column- then row-parallel product against the whole one, and gather/split round trips.
#include "parallel/collective_ops.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/variable.h>

#include "framework/base/error.h"
#include "parallel/comm/mpi_communicator.h"

namespace retain::parallel {
namespace {

at::Tensor ramp(std::vector<std::int64_t> shape, double scale) {
  std::int64_t elements = 1;
  for (const auto size : shape) elements *= size;
  return at::sin(at::arange(elements, at::kDouble) * scale).reshape(shape);
}

class CollectiveOps : public ::testing::Test {
 protected:
  std::shared_ptr<Communicator> world_ = open_world({.timeout = std::chrono::seconds(30)});
};

TEST_F(CollectiveOps, ColumnThenRowParallelEqualsTheWholeProduct) {
  constexpr std::int64_t tokens = 5, hidden = 6, inner = 11;
  const at::Tensor up_IH = ramp({inner, hidden}, 0.7);
  const at::Tensor down_HI = ramp({hidden, inner}, 0.3);

  at::Tensor whole_TH = ramp({tokens, hidden}, 0.9).requires_grad_();
  const at::Tensor expected = at::matmul(at::tanh(at::matmul(whole_TH, up_IH.t())), down_HI.t());
  expected.pow(2).sum().backward();

  const auto sizes = even_sizes(inner, world_->size());
  std::int64_t start = 0;
  for (int r = 0; r < world_->rank(); ++r) start += sizes[static_cast<std::size_t>(r)];
  const std::int64_t own = sizes[static_cast<std::size_t>(world_->rank())];
  at::Tensor x_TH = ramp({tokens, hidden}, 0.9).requires_grad_();
  const at::Tensor entered = copy_to_tensor_group(x_TH, *world_);
  const at::Tensor part = at::tanh(at::matmul(entered, up_IH.narrow(0, start, own).t()));
  const at::Tensor y = reduce_from_tensor_group(at::matmul(part, down_HI.narrow(1, start, own).t()), *world_);
  y.pow(2).sum().backward();

  EXPECT_TRUE(at::allclose(y, expected, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(x_TH.grad(), whole_TH.grad(), 1e-12, 1e-12));
}

TEST_F(CollectiveOps, GatherAndSplitAreInverseWithUnevenSizes) {
  std::vector<std::int64_t> sizes;
  std::int64_t total = 0;
  for (int r = 0; r < world_->size(); ++r) {
    sizes.push_back(r == 0 ? 0 : 2 * r + 1);  // a rank may hold nothing
    if (world_->size() == 1) sizes[0] = 4;
    total += sizes.back();
  }
  for (const std::int64_t dim : {0, 1, -1}) {
    std::vector<std::int64_t> shape = {3, 4, 5};
    shape[static_cast<std::size_t>(dim < 0 ? dim + 3 : dim)] = total;
    at::Tensor whole = ramp(shape, 0.11).requires_grad_();
    const at::Tensor slice = split_to_tensor_group(whole, dim, sizes, *world_);
    EXPECT_EQ(slice.size(dim), sizes[static_cast<std::size_t>(world_->rank())]);
    const at::Tensor back = gather_from_tensor_group(slice * 2, dim, sizes, *world_);
    EXPECT_TRUE(at::equal(back.detach(), whole.detach() * 2));
    const at::Tensor weight = ramp(shape, 0.23);
    (back * weight).sum().backward();
    EXPECT_TRUE(at::equal(whole.grad(), weight * 2));
  }
  EXPECT_THROW(gather_from_tensor_group(ramp({total + 1}, 1), 0, sizes, *world_), framework::Error);
}

TEST_F(CollectiveOps, FrozenInputsSendNothingBack) {
  at::Tensor x = ramp({4, 3}, 0.5);
  at::Tensor weight = ramp({3, 3}, 0.2).requires_grad_();
  const std::int64_t before = world_->bytes_sent();
  const at::Tensor y = at::matmul(copy_to_tensor_group(x, *world_), weight);
  y.sum().backward();
  EXPECT_EQ(world_->bytes_sent(), before);
  const at::Tensor reduced = reduce_from_tensor_group(x, *world_);
  EXPECT_FALSE(reduced.requires_grad());
}

TEST_F(CollectiveOps, EvenSizesGiveTheRemainderToTheFirst) {
  EXPECT_EQ(even_sizes(11, 4), (std::vector<std::int64_t>{3, 3, 3, 2}));
  EXPECT_EQ(even_sizes(2, 3), (std::vector<std::int64_t>{1, 1, 0}));
}

}  // namespace
}  // namespace retain::parallel
