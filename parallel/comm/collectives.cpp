// SPDX-License-Identifier: Apache-2.0
// The collectives as rounds. "Own" is this rank's part; a "share" is the part of a chunk that one rank reduces.
#include "parallel/comm/collectives.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "parallel/comm/reduce.h"
#include "parallel/comm/round_operation.h"

namespace retain::parallel {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t small_reduction = 8192;  // bytes up to which every rank reduces everything: one exchange, not two

std::byte* bytes_of(const at::Tensor& tensor) { return static_cast<std::byte*>(tensor.data_ptr()); }

Descriptor describe(OperationKind kind, const at::Tensor& block) {
  Descriptor descriptor;
  descriptor.kind = kind;
  descriptor.elements = block.numel();
  descriptor.dtype = static_cast<std::int8_t>(block.scalar_type());
  return descriptor;
}

Descriptor describe(OperationKind kind, const at::Tensor& block, ReduceOp op) {
  Descriptor descriptor = describe(kind, block);
  descriptor.reduce = static_cast<std::uint8_t>(op);
  return descriptor;
}

/// A tensor's elements cut into chunks, one a round. An empty tensor still takes one round: the ranks meet.
struct Chunks {
  std::size_t elements;
  std::size_t per_round;

  std::uint64_t rounds() const { return std::max<std::uint64_t>(1, (elements + per_round - 1) / per_round); }
  std::size_t start(std::uint64_t index) const { return static_cast<std::size_t>(index) * per_round; }
  std::size_t length(std::uint64_t index) const { return std::min(per_round, elements - start(index)); }
};

Chunks chunks_of(const at::Tensor& block, std::size_t bytes_per_round) {
  return {static_cast<std::size_t>(block.numel()), std::max<std::size_t>(1, bytes_per_round / block.element_size())};
}

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
      std::memcpy(at(index, theirs), channel().view(round, Phase::result, peer, 0), theirs.length * item_);
    }
  }

  at::Tensor tensor_;
  std::size_t item_;
  ReduceOp op_;
  Chunks chunks_;
};

class AllGather final : public RoundOperation {
 public:
  AllGather(std::shared_ptr<Group> group, at::Tensor gathered, at::Tensor input, Chunks chunks)
      : RoundOperation(std::move(group), describe(OperationKind::all_gather, input), chunks.rounds(), false),
        gathered_(std::move(gathered)),
        input_(std::move(input)),
        item_(input_.element_size()),
        chunks_(chunks) {}

 private:
  /// The input may be this rank's own block of the output.
  void produce(std::uint64_t index, std::uint64_t round) override {
    const std::size_t bytes = chunks_.length(index) * item_;
    const std::byte* source = bytes_of(input_) + chunks_.start(index) * item_;
    channel().put(round, Phase::input, Channel::everybody, 0, source, bytes);
    if (bytes > 0 && block(index, rank()) != source) std::memcpy(block(index, rank()), source, bytes);
    for (int peer = 0; peer < size(); ++peer) {
      if (peer != rank()) channel().expect(round, Phase::input, peer, 0, bytes);
    }
  }

  void combine(std::uint64_t index, std::uint64_t round) override {
    const std::size_t bytes = chunks_.length(index) * item_;
    for (int peer = 0; peer < size() && bytes > 0; ++peer) {
      if (peer != rank()) std::memcpy(block(index, peer), channel().view(round, Phase::input, peer, 0), bytes);
    }
  }

  std::byte* block(std::uint64_t index, int member) const {
    return bytes_of(gathered_) + static_cast<std::size_t>(member) * input_.nbytes() + chunks_.start(index) * item_;
  }

  at::Tensor gathered_;
  at::Tensor input_;
  std::size_t item_;
  Chunks chunks_;
};

class ReduceScatter final : public RoundOperation {
 public:
  ReduceScatter(std::shared_ptr<Group> group, at::Tensor output, at::Tensor input, ReduceOp op, Chunks chunks)
      : RoundOperation(std::move(group), describe(OperationKind::reduce_scatter, output, op), chunks.rounds(), false),
        output_(std::move(output)),
        input_(std::move(input)),
        item_(output_.element_size()),
        op_(op),
        chunks_(chunks) {}

 private:
  const std::byte* block(std::uint64_t index, int member) const {
    return bytes_of(input_) + static_cast<std::size_t>(member) * output_.nbytes() + chunks_.start(index) * item_;
  }
  /// Where the piece for `member` lies in a slot.
  std::size_t offset(int member) const { return static_cast<std::size_t>(member) * chunks_.per_round * item_; }

  void produce(std::uint64_t index, std::uint64_t round) override {
    const std::size_t bytes = chunks_.length(index) * item_;
    for (int peer = 0; peer < size(); ++peer) {
      if (peer == rank()) continue;
      channel().put(round, Phase::input, peer, offset(peer), block(index, peer), bytes);
      channel().expect(round, Phase::input, peer, offset(rank()), bytes);
    }
  }

  void combine(std::uint64_t index, std::uint64_t round) override {
    std::vector<const void*> sources;
    for (int member = 0; member < size(); ++member) {
      sources.push_back(member == rank() ? block(index, rank())
                                         : channel().view(round, Phase::input, member, offset(rank())));
    }
    reduce_in_order(bytes_of(output_) + chunks_.start(index) * item_, sources, chunks_.length(index),
                    output_.scalar_type(), op_);
  }

  at::Tensor output_;
  at::Tensor input_;
  std::size_t item_;
  ReduceOp op_;
  Chunks chunks_;
};

class Broadcast final : public RoundOperation {
 public:
  Broadcast(std::shared_ptr<Group> group, at::Tensor tensor, int root, Chunks chunks)
      : RoundOperation(std::move(group), described(tensor, root), chunks.rounds(), false),
        tensor_(std::move(tensor)),
        item_(tensor_.element_size()),
        root_(root),
        chunks_(chunks) {}

 private:
  static Descriptor described(const at::Tensor& tensor, int root) {
    Descriptor descriptor = describe(OperationKind::broadcast, tensor);
    descriptor.root = root;
    return descriptor;
  }

  bool needs(int member) const override { return member == root_; }

  void produce(std::uint64_t index, std::uint64_t round) override {
    const std::size_t bytes = chunks_.length(index) * item_;
    if (rank() != root_) return channel().expect(round, Phase::input, root_, 0, bytes);
    channel().put(round, Phase::input, Channel::everybody, 0, bytes_of(tensor_) + chunks_.start(index) * item_, bytes);
  }

  void combine(std::uint64_t index, std::uint64_t round) override {
    const std::size_t bytes = chunks_.length(index) * item_;
    if (rank() == root_ || bytes == 0) return;
    std::memcpy(bytes_of(tensor_) + chunks_.start(index) * item_, channel().view(round, Phase::input, root_, 0), bytes);
  }

  at::Tensor tensor_;
  std::size_t item_;
  int root_;
  Chunks chunks_;
};

class Barrier final : public RoundOperation {
 public:
  explicit Barrier(std::shared_ptr<Group> group) : RoundOperation(std::move(group), described(), 1, false) {}

 private:
  static Descriptor described() {
    Descriptor descriptor;
    descriptor.kind = OperationKind::barrier;
    return descriptor;
  }
  void produce(std::uint64_t, std::uint64_t) override {}
  void combine(std::uint64_t, std::uint64_t) override {}
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

std::shared_ptr<Operation> make_all_gather(std::shared_ptr<Group> group, at::Tensor gathered, at::Tensor input) {
  const Chunks chunks = chunks_of(input, group->channel->capacity());
  return std::make_shared<AllGather>(std::move(group), std::move(gathered), std::move(input), chunks);
}

std::shared_ptr<Operation> make_reduce_scatter(std::shared_ptr<Group> group, at::Tensor output, at::Tensor input,
                                               ReduceOp op) {
  // A slot holds the pieces for all members, each on cache lines of its own.
  const std::size_t piece = group->channel->capacity() / static_cast<std::size_t>(group->size()) / cache_line * cache_line;
  const Chunks chunks = chunks_of(output, piece);
  return std::make_shared<ReduceScatter>(std::move(group), std::move(output), std::move(input), op, chunks);
}

std::shared_ptr<Operation> make_broadcast(std::shared_ptr<Group> group, at::Tensor tensor, int root) {
  const Chunks chunks = chunks_of(tensor, group->channel->capacity());
  return std::make_shared<Broadcast>(std::move(group), std::move(tensor), root, chunks);
}

std::shared_ptr<Operation> make_barrier(std::shared_ptr<Group> group) {
  return std::make_shared<Barrier>(std::move(group));
}

}  // namespace retain::parallel
