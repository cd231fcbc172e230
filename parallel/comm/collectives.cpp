// SPDX-License-Identifier: Apache-2.0
// All collectives but all_reduce, as rounds.
#include "parallel/comm/collectives.h"

#include <utility>

#include "parallel/comm/chunks.h"
#include "parallel/comm/reduce.h"
#include "parallel/comm/round_operation.h"

namespace retain::parallel {
namespace {

constexpr std::size_t cache_line = 64;

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
    if (block(index, rank()) != source) copy_bytes(block(index, rank()), source, bytes);
    for (int peer = 0; peer < size(); ++peer) {
      if (peer != rank()) channel().expect(round, Phase::input, peer, 0, bytes);
    }
  }

  void combine(std::uint64_t index, std::uint64_t round) override {
    const std::size_t bytes = chunks_.length(index) * item_;
    for (int peer = 0; peer < size() && bytes > 0; ++peer) {
      if (peer != rank()) copy_bytes(block(index, peer), channel().view(round, Phase::input, peer, 0), bytes);
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
    copy_bytes(bytes_of(tensor_) + chunks_.start(index) * item_, channel().view(round, Phase::input, root_, 0), bytes);
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

std::shared_ptr<Operation> make_all_gather(std::shared_ptr<Group> group, at::Tensor gathered, at::Tensor input) {
  const Chunks chunks = chunks_of(input, group->channel->capacity());
  return std::make_shared<AllGather>(std::move(group), std::move(gathered), std::move(input), chunks);
}

std::shared_ptr<Operation> make_reduce_scatter(std::shared_ptr<Group> group, at::Tensor output, at::Tensor input,
                                               ReduceOp op) {
  // A slot holds the pieces for all members, each on cache lines of its own.
  const std::size_t piece =
      group->channel->capacity() / static_cast<std::size_t>(group->size()) / cache_line * cache_line;
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
