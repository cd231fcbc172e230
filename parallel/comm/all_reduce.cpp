// SPDX-License-Identifier: Apache-2.0
// all_reduce as rounds. "Own" is this rank's part; a "share" is the part of a chunk that one rank reduces.
#include <utility>

#include "parallel/comm/chunks.h"
#include "parallel/comm/collectives.h"
#include "parallel/comm/reduce.h"
#include "parallel/comm/round_operation.h"

namespace retain::parallel {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t small_reduction = 8192;  // bytes up to which every rank reduces everything: one exchange, not two

/// All ranks read everything and reduce it themselves: the quickest where the tensor is small.
class SmallAllReduce final : public RoundOperation {
 public:
  SmallAllReduce(std::shared_ptr<Group> group, at::Tensor tensor, ReduceOp op)
      : RoundOperation(std::move(group), describe(OperationKind::all_reduce, tensor, op), 1, false),
        tensor_(std::move(tensor)),
        op_(op) {}

 private:
  void produce(std::uint64_t, std::uint64_t round) override {
    static_assert(small_reduction <= Channel::copied_bytes, "combine() overwrites what was put");
    channel().put(round, Phase::input, Channel::everybody, 0, bytes_of(tensor_), tensor_.nbytes());
    for (int peer = 0; peer < size(); ++peer) {
      if (peer != rank()) channel().expect(round, Phase::input, peer, 0, tensor_.nbytes());
    }
  }

  void combine(std::uint64_t, std::uint64_t round) override {
    std::vector<const void*> sources;
    for (int member = 0; member < size(); ++member) {
      sources.push_back(member == rank() ? bytes_of(tensor_) : channel().view(round, Phase::input, member, 0));
    }
    reduce_in_order(bytes_of(tensor_), sources, static_cast<std::size_t>(tensor_.numel()), tensor_.scalar_type(), op_);
  }

  at::Tensor tensor_;
  ReduceOp op_;
};

/// Each rank reduces one share of a chunk and gives the result to all.
class SharedAllReduce final : public RoundOperation {
 public:
  SharedAllReduce(std::shared_ptr<Group> group, at::Tensor tensor, ReduceOp op, Chunks chunks)
      : RoundOperation(std::move(group), describe(OperationKind::all_reduce, tensor, op), chunks.rounds(), true),
        tensor_(std::move(tensor)),
        item_(tensor_.element_size()),
        op_(op),
        chunks_(chunks) {}

 private:
  struct Range {
    std::size_t start;  // elements from the chunk's start
    std::size_t length;
  };

  /// Shares are whole cache lines, so that ranks never write to the same line.
  Range share(std::uint64_t index, int member) const {
    const std::size_t length = chunks_.length(index);
    const std::size_t line = cache_line / item_;
    const std::size_t even = (length + static_cast<std::size_t>(size()) - 1) / static_cast<std::size_t>(size());
    const std::size_t each = (even + line - 1) / line * line;
    const std::size_t start = std::min(length, each * static_cast<std::size_t>(member));
    return {start, std::min(each, length - start)};
  }

  std::byte* at(std::uint64_t index, const Range& range) const {
    return bytes_of(tensor_) + (chunks_.start(index) + range.start) * item_;
  }

  void produce(std::uint64_t index, std::uint64_t round) override {
    const Range own = share(index, rank());
    for (int peer = 0; peer < size(); ++peer) {
      if (peer == rank()) continue;
      const Range theirs = share(index, peer);
      channel().put(round, Phase::input, peer, theirs.start * item_, at(index, theirs), theirs.length * item_);
      channel().expect(round, Phase::input, peer, own.start * item_, own.length * item_);
    }
  }

  void combine(std::uint64_t index, std::uint64_t round) override {
    const Range own = share(index, rank());
    std::vector<const void*> sources;
    for (int member = 0; member < size(); ++member) {
      sources.push_back(member == rank() ? at(index, own)
                                         : channel().view(round, Phase::input, member, own.start * item_));
    }
    reduce_in_order(at(index, own), sources, own.length, tensor_.scalar_type(), op_);
    channel().put(round, Phase::result, Channel::everybody, 0, at(index, own), own.length * item_);
    for (int peer = 0; peer < size(); ++peer) {
      if (peer != rank()) channel().expect(round, Phase::result, peer, 0, share(index, peer).length * item_);
    }
  }

  void consume(std::uint64_t index, std::uint64_t round) override {
    for (int peer = 0; peer < size(); ++peer) {
      const Range theirs = share(index, peer);
      if (peer == rank() || theirs.length == 0) continue;
      copy_bytes(at(index, theirs), channel().view(round, Phase::result, peer, 0), theirs.length * item_);
    }
  }

  at::Tensor tensor_;
  std::size_t item_;
  ReduceOp op_;
  Chunks chunks_;
};

}  // namespace

std::shared_ptr<Operation> make_all_reduce(std::shared_ptr<Group> group, at::Tensor tensor, ReduceOp op) {
  const std::size_t capacity = group->channel->capacity();
  if (tensor.nbytes() <= std::min(small_reduction, capacity)) {
    return std::make_shared<SmallAllReduce>(std::move(group), std::move(tensor), op);
  }
  const Chunks chunks = chunks_of(tensor, capacity);
  return std::make_shared<SharedAllReduce>(std::move(group), std::move(tensor), op, chunks);
}

}  // namespace retain::parallel
