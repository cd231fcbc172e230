// SPDX-License-Identifier: Apache-2.0
// What every back end must do. A back end's test derives from CommunicatorSuite's argument and instantiates it:
// Backend::open() gives the world's group, Backend::device() where its tensors live.
#pragma once
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "framework/base/error.h"
#include "parallel/comm/communicator.h"

namespace retain::parallel::testing {

inline const std::vector<c10::ScalarType>& carried_dtypes() {
  static const std::vector<c10::ScalarType> dtypes = {at::kFloat, at::kBFloat16, at::kDouble,
                                                      at::kLong,  at::kInt,      at::kByte};
  return dtypes;
}

/// Around every threshold of the back ends: empty, one, odd, whole cache lines, one round, several.
inline const std::vector<std::int64_t>& odd_sizes() {
  static const std::vector<std::int64_t> sizes = {0, 1, 3, 17, 1000, 2048, 2049, 65537, 300001};
  return sizes;
}

/// Values that a rank can compute for every other rank, spread over magnitudes so that the order of addition matters in
/// floating point. A window of one table: the references cost less than what is tested.
inline at::Tensor values_of(int rank, std::int64_t elements, c10::ScalarType dtype, std::int64_t salt = 0) {
  constexpr std::int64_t longest = 2600000;
  static const at::Tensor table = [] {
    const at::Tensor i = at::arange(longest, at::kFloat);
    return at::sin(i * 0.37f) * at::exp2(at::remainder(i * 7, 13) - 6);
  }();
  const at::Tensor x = table.narrow(0, rank * 1009 + salt * 31, elements);
  return at::isIntegralType(dtype, false) ? x.abs().floor().to(dtype) : x.to(dtype);
}

/// The contract: left to right in rank order; bfloat16 in float32, rounded once.
inline at::Tensor reduced_reference(int ranks, std::int64_t elements, c10::ScalarType dtype, ReduceOp op,
                                    std::int64_t salt = 0) {
  const c10::ScalarType wide = dtype == at::kBFloat16 ? at::kFloat : dtype;
  at::Tensor sum = values_of(0, elements, dtype, salt).to(wide);
  for (int r = 1; r < ranks; ++r) {
    const at::Tensor next = values_of(r, elements, dtype, salt).to(wide);
    sum = op == ReduceOp::sum ? sum + next : op == ReduceOp::max ? at::maximum(sum, next) : at::minimum(sum, next);
  }
  return sum.to(dtype);
}

template <class Backend>
class CommunicatorSuite : public ::testing::Test {
 protected:
  void SetUp() override {
    world_ = Backend::open();
    if (!world_) GTEST_SKIP() << "this machine has no device for the back end";
  }
  at::Tensor here(const at::Tensor& cpu) const { return cpu.to(Backend::device()).clone(); }
  at::Tensor empty(std::int64_t elements, c10::ScalarType dtype) const {
    return at::empty({elements}, at::TensorOptions().dtype(dtype).device(Backend::device()));
  }
  static bool same_bits(const at::Tensor& a, const at::Tensor& b) { return at::equal(a.cpu(), b.cpu()); }

  std::shared_ptr<Communicator> world_;
};
TYPED_TEST_SUITE_P(CommunicatorSuite);

TYPED_TEST_P(CommunicatorSuite, AllReduceAddsInRankOrder) {
  for (const auto dtype : carried_dtypes()) {
    for (const auto elements : odd_sizes()) {
      for (const ReduceOp op : {ReduceOp::sum, ReduceOp::max, ReduceOp::min}) {
        at::Tensor x = this->here(values_of(this->world_->rank(), elements, dtype));
        this->world_->all_reduce(x, op);
        EXPECT_TRUE(this->same_bits(x, reduced_reference(this->world_->size(), elements, dtype, op)))
            << c10::toString(dtype) << " " << elements << " op " << static_cast<int>(op);
      }
    }
  }
}

TYPED_TEST_P(CommunicatorSuite, AllGatherOrdersBlocksByRank) {
  const int ranks = this->world_->size();
  for (const auto dtype : carried_dtypes()) {
    for (const auto elements : odd_sizes()) {
      const at::Tensor own = this->here(values_of(this->world_->rank(), elements, dtype));
      at::Tensor all = this->empty(elements * ranks, dtype);
      this->world_->all_gather(all, own);
      for (int r = 0; r < ranks; ++r) {
        EXPECT_TRUE(this->same_bits(all.narrow(0, r * elements, elements), values_of(r, elements, dtype)))
            << c10::toString(dtype) << " " << elements << " block " << r;
      }
    }
  }
}

TYPED_TEST_P(CommunicatorSuite, AllGatherInPlace) {
  const int ranks = this->world_->size();
  const std::int64_t elements = 70001;
  at::Tensor all = this->empty(elements * ranks, at::kFloat);
  at::Tensor own = all.narrow(0, this->world_->rank() * elements, elements);
  own.copy_(values_of(this->world_->rank(), elements, at::kFloat));
  this->world_->all_gather(all, own);
  for (int r = 0; r < ranks; ++r) {
    EXPECT_TRUE(this->same_bits(all.narrow(0, r * elements, elements), values_of(r, elements, at::kFloat)));
  }
}

TYPED_TEST_P(CommunicatorSuite, ReduceScatterGivesEachRankItsBlock) {
  const int ranks = this->world_->size();
  for (const auto dtype : carried_dtypes()) {
    for (const std::int64_t elements : {0, 1, 5, 1021, 65537}) {
      const at::Tensor input = this->here(values_of(this->world_->rank(), elements * ranks, dtype));
      at::Tensor output = this->empty(elements, dtype);
      this->world_->reduce_scatter(output, input);
      const at::Tensor whole = reduced_reference(ranks, elements * ranks, dtype, ReduceOp::sum);
      EXPECT_TRUE(this->same_bits(output, whole.narrow(0, this->world_->rank() * elements, elements)))
          << c10::toString(dtype) << " " << elements;
    }
  }
}

TYPED_TEST_P(CommunicatorSuite, BroadcastFromEveryRoot) {
  for (int root = 0; root < this->world_->size(); ++root) {
    for (const auto elements : odd_sizes()) {
      at::Tensor x = this->here(values_of(this->world_->rank(), elements, at::kBFloat16));
      this->world_->broadcast(x, root);
      EXPECT_TRUE(this->same_bits(x, values_of(root, elements, at::kBFloat16))) << elements << " from " << root;
    }
  }
}

TYPED_TEST_P(CommunicatorSuite, MessagesOfOneTagKeepTheirOrder) {
  const int ranks = this->world_->size();
  const int next = (this->world_->rank() + 1) % ranks;
  const int previous = (this->world_->rank() + ranks - 1) % ranks;
  std::vector<std::unique_ptr<Work>> works;
  std::vector<at::Tensor> received;
  for (int i = 0; i < 6; ++i) {
    const std::int64_t elements = i % 2 == 0 ? 100003 * i : 7 * i;
    works.push_back(
        this->world_->send_async(this->here(values_of(this->world_->rank(), elements, at::kFloat, i)), next, i % 2));
    received.push_back(this->empty(elements, at::kFloat));
    works.push_back(this->world_->receive_async(received.back(), previous, i % 2));
  }
  for (auto& work : works) work->wait();
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(this->same_bits(received[static_cast<std::size_t>(i)],
                                values_of(previous, received[static_cast<std::size_t>(i)].numel(), at::kFloat, i)));
  }
}

TYPED_TEST_P(CommunicatorSuite, AsyncReductionsFinishInAnyOrderOfWaiting) {
  std::vector<at::Tensor> tensors;
  std::vector<std::unique_ptr<Work>> works;
  const std::vector<std::int64_t> sizes = {5, 300001, 0, 70000, 12};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    tensors.push_back(this->here(values_of(this->world_->rank(), sizes[i], at::kFloat, static_cast<std::int64_t>(i))));
    works.push_back(this->world_->all_reduce_async(tensors.back()));
  }
  const bool forward = this->world_->rank() % 2 == 0;
  for (std::size_t i = 0; i < works.size(); ++i) works[forward ? i : works.size() - 1 - i]->wait();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_TRUE(this->same_bits(tensors[i], reduced_reference(this->world_->size(), sizes[i], at::kFloat, ReduceOp::sum,
                                                              static_cast<std::int64_t>(i))));
  }
}

/// One rank waits for a message while its peer waits in a reduction that the first started before: both must move.
TYPED_TEST_P(CommunicatorSuite, StartedWorkMovesWhileOthersAreWaitedFor) {
  auto halves = this->world_->split(0, this->world_->rank(), "second");
  at::Tensor x = this->here(values_of(this->world_->rank(), 400001, at::kFloat));
  at::Tensor y = this->here(values_of(this->world_->rank(), 400001, at::kFloat, 9));
  auto work = halves->all_reduce_async(x);
  if (this->world_->rank() == 0) {
    work->wait();
    this->world_->all_reduce(y);
  } else {
    this->world_->all_reduce(y);
    work->wait();
  }
  EXPECT_TRUE(this->same_bits(x, reduced_reference(this->world_->size(), 400001, at::kFloat, ReduceOp::sum)));
  EXPECT_TRUE(this->same_bits(y, reduced_reference(this->world_->size(), 400001, at::kFloat, ReduceOp::sum, 9)));
}

TYPED_TEST_P(CommunicatorSuite, InterleavedGroupsDoNotMix) {
  const int rank = this->world_->rank();
  const int ranks = this->world_->size();
  auto parity = this->world_->split(rank % 2, rank, "parity");
  auto reversed = this->world_->split(0, ranks - rank, "reversed");
  auto alone = this->world_->split(rank, 0, "alone");
  EXPECT_EQ(alone->size(), 1);
  EXPECT_EQ(reversed->rank(), ranks - 1 - rank);
  EXPECT_EQ(reversed->world_rank(0), ranks - 1);
  for (int round = 0; round < 20; ++round) {
    at::Tensor a = this->here(at::full({round * 991 + 1}, static_cast<float>(rank)));
    at::Tensor b = this->here(at::full({round * 17 + 1}, static_cast<float>(rank)));
    parity->all_reduce(a);
    this->world_->all_reduce(b, ReduceOp::max);
    float expected = 0;
    for (int r = rank % 2; r < ranks; r += 2) expected += static_cast<float>(r);
    EXPECT_EQ(a[0].item<float>(), expected);
    EXPECT_EQ(a[-1].item<float>(), expected);
    EXPECT_EQ(b[-1].item<float>(), static_cast<float>(ranks - 1));
    at::Tensor c = this->here(at::full({3}, static_cast<float>(rank)));
    reversed->broadcast(c, 0);
    EXPECT_EQ(c[2].item<float>(), static_cast<float>(ranks - 1));
    alone->all_reduce(c);
    EXPECT_EQ(c[2].item<float>(), static_cast<float>(ranks - 1));
  }
}

/// Many operations without a pause between them: a slot written too early or a lost post shows here.
TYPED_TEST_P(CommunicatorSuite, LongRunsOfMixedOperationsStayExact) {
  const int rank = this->world_->rank();
  const int ranks = this->world_->size();
  for (int i = 0; i < 150; ++i) {
    const std::int64_t elements = (i * 7919) % 5000 + (i % 10 == 0 ? 150000 : 0);
    at::Tensor x = this->here(values_of(rank, elements, at::kBFloat16, i));
    if (i % 3 == 0) this->world_->barrier();
    this->world_->all_reduce(x);
    ASSERT_TRUE(this->same_bits(x, reduced_reference(ranks, elements, at::kBFloat16, ReduceOp::sum, i))) << i;
    at::Tensor y = this->here(at::full({i + 1}, rank + i, at::kLong));
    this->world_->broadcast(y, i % ranks);
    ASSERT_EQ(y[i].template item<std::int64_t>(), i % ranks + i);
  }
}

TYPED_TEST_P(CommunicatorSuite, TextTravelsWhole) {
  const int ranks = this->world_->size();
  const std::string own(static_cast<std::size_t>(this->world_->rank()) * 1000,
                        static_cast<char>('a' + this->world_->rank()));
  const std::vector<std::string> all = this->world_->gather_text(own);
  ASSERT_EQ(static_cast<int>(all.size()), ranks);
  for (int r = 0; r < ranks; ++r) {
    EXPECT_EQ(all[static_cast<std::size_t>(r)],
              std::string(static_cast<std::size_t>(r) * 1000, static_cast<char>('a' + r)));
  }
  EXPECT_EQ(this->world_->broadcast_text(this->world_->rank() == ranks - 1 ? "last\n\0one" : "", ranks - 1), "last\n");
}

TYPED_TEST_P(CommunicatorSuite, RefusesWhatItCannotCarry) {
  at::Tensor gaps = this->here(at::zeros({4, 4})).t();
  EXPECT_THROW(this->world_->all_reduce(gaps), framework::Error);
  at::Tensor half = this->empty(4, at::kHalf);
  EXPECT_THROW(this->world_->all_reduce(half), framework::Error);
  at::Tensor small = this->empty(4, at::kFloat);
  EXPECT_THROW(this->world_->all_gather(small, small), framework::Error);
  EXPECT_THROW(this->world_->broadcast(small, this->world_->size()), framework::Error);
  this->world_->barrier();  // nothing was sent: the group is still in step
}

REGISTER_TYPED_TEST_SUITE_P(CommunicatorSuite, AllReduceAddsInRankOrder, AllGatherOrdersBlocksByRank, AllGatherInPlace,
                            ReduceScatterGivesEachRankItsBlock, BroadcastFromEveryRoot, MessagesOfOneTagKeepTheirOrder,
                            AsyncReductionsFinishInAnyOrderOfWaiting, StartedWorkMovesWhileOthersAreWaitedFor,
                            InterleavedGroupsDoNotMix, LongRunsOfMixedOperationsStayExact, TextTravelsWhole,
                            RefusesWhatItCannotCarry);

}  // namespace retain::parallel::testing
