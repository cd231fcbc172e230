// SPDX-License-Identifier: Apache-2.0
// The MPI back end: checks arguments, makes operations, waits for them.
#include "parallel/comm/mpi_communicator.h"

#include <ATen/ATen.h>
#include <mpi.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "framework/base/error.h"
#include "parallel/comm/chunks.h"
#include "parallel/comm/collectives.h"
#include "parallel/comm/message_channel.h"
#include "parallel/comm/message_operation.h"
#include "parallel/comm/mpi_check.h"
#include "parallel/comm/mpi_world.h"
#include "parallel/comm/node_identity.h"
#include "parallel/comm/progress.h"
#include "parallel/comm/self_communicator.h"
#include "parallel/comm/shared_channel.h"
#include "parallel/comm/tensor_check.h"

namespace retain::parallel {
namespace {

using framework::Error;
using framework::ErrorKind;

/// Before the activity of a part of the world.
std::string prefix_of(const std::string& group) {
  return group == "world" ? std::string() : group + ": ";
}

/// What all groups of one world share.
struct World {
  WatchdogSettings settings;
  std::shared_ptr<NodeBoard> board;
  Progress progress;
  std::vector<int> node_of;  // by world rank: the lowest world rank of its node

  World(WatchdogSettings given, std::shared_ptr<NodeBoard> node_board, std::vector<int> nodes)
      : settings(given), board(node_board), progress(given, node_board), node_of(std::move(nodes)) {}
};

class OperationWork final : public Work {
 public:
  OperationWork(std::shared_ptr<World> world, std::shared_ptr<Group> group, std::shared_ptr<Operation> operation)
      : world_(std::move(world)), group_(std::move(group)), operation_(std::move(operation)) {}

  // While an exception unwinds, the peers may never come: the operation is left to Progress, which keeps its tensors.
  ~OperationWork() override {
    if (waited_ || std::uncaught_exceptions() > 0) return;
    try {
      world_->progress.wait(*operation_, *group_);
    } catch (const Error&) {
      // The next operation of any group meets the same broken peer and reports it.
    }
  }

  void wait() override {
    waited_ = true;
    world_->progress.wait(*operation_, *group_);
  }

 private:
  std::shared_ptr<World> world_;
  std::shared_ptr<Group> group_;
  std::shared_ptr<Operation> operation_;
  bool waited_ = false;
};

/// All of the group's ranks on one node, and shared memory to be had: counters and slots; otherwise messages.
std::unique_ptr<Channel> make_channel(const World& world, Group& group) {
  const int first_node = world.node_of[static_cast<std::size_t>(group.world_ranks.front())];
  const bool one_node = std::all_of(group.world_ranks.begin(), group.world_ranks.end(), [&](int rank) {
    return world.node_of[static_cast<std::size_t>(rank)] == first_node;
  });
  if (one_node && world.settings.shared_memory) {
    auto segment = SharedSegment::create(group.messages.get(), SharedChannel::segment_bytes(group.size()));
    if (segment) return std::make_unique<SharedChannel>(group.rank, group.size(), std::move(segment));
  }
  check_mpi(MPI_Comm_dup(group.messages.get(), group.control.out()), "MPI_Comm_dup");
  check_mpi(MPI_Comm_set_errhandler(group.control.get(), MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return std::make_unique<MessageChannel>(group.rank, group.size(), group.control.get());
}

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(std::shared_ptr<World> world, std::shared_ptr<Group> group)
      : Communicator(group->rank, group->size(), group->name, group->world_ranks),
        world_(std::move(world)),
        group_(std::move(group)) {}

  void all_reduce(at::Tensor& tensor, ReduceOp op) override { all_reduce_async(tensor, op)->wait(); }

  std::unique_ptr<Work> all_reduce_async(at::Tensor tensor, ReduceOp op) override {
    check_tensor(tensor, "all_reduce", name());
    count_bytes(static_cast<std::int64_t>(tensor.nbytes()));
    return start(make_all_reduce(group_, std::move(tensor), op));
  }

  void all_gather(at::Tensor& gathered, const at::Tensor& input) override {
    check_blocks(gathered, input, size(), "all_gather", name());
    count_bytes(static_cast<std::int64_t>(input.nbytes()));
    start(make_all_gather(group_, gathered, input))->wait();
  }

  void reduce_scatter(at::Tensor& output, const at::Tensor& input, ReduceOp op) override {
    check_blocks(input, output, size(), "reduce_scatter", name());
    count_bytes(static_cast<std::int64_t>(input.nbytes()));
    start(make_reduce_scatter(group_, output, input, op))->wait();
  }

  void broadcast(at::Tensor& tensor, int root) override {
    check_tensor(tensor, "broadcast", name());
    check_member(root, size(), name());
    if (rank() == root) count_bytes(static_cast<std::int64_t>(tensor.nbytes()));
    start(make_broadcast(group_, tensor, root))->wait();
  }

  void barrier() override { start(make_barrier(group_))->wait(); }

  std::unique_ptr<Work> send_async(at::Tensor tensor, int to, int tag) override {
    check_tensor(tensor, "send", name());
    check_member(to, size(), name());
    count_bytes(static_cast<std::int64_t>(tensor.nbytes()));
    return start(make_send(group_, std::move(tensor), to, tag));
  }

  std::unique_ptr<Work> receive_async(at::Tensor tensor, int from, int tag) override {
    check_tensor(tensor, "receive", name());
    check_member(from, size(), name());
    return start(make_receive(group_, std::move(tensor), from, tag));
  }

  std::unique_ptr<Communicator> split(int color, int key, std::string name) override {
    if (color < 0)
      throw Error(ErrorKind::internal, {"a group's color is negative", "0 or more", std::to_string(color), {}});
    // Also brings all ranks here, under the watchdog, before MPI blocks.
    at::Tensor own = at::tensor({std::int64_t{color}, std::int64_t{key}}, at::kLong);
    at::Tensor all = at::empty({size(), 2}, at::kLong);
    all_gather(all, own);

    auto group = std::make_shared<Group>();
    group->name = std::move(name);
    for (const int member : members_of(all, color)) {
      if (member == rank()) group->rank = static_cast<int>(group->world_ranks.size());
      group->world_ranks.push_back(world_rank(member));
    }
    check_mpi(MPI_Comm_split(group_->messages.get(), color, group->rank, group->messages.out()), "MPI_Comm_split");
    if (group->size() == 1)
      return make_self_communicator(group->name, group->world_ranks.front(),
                                    [world = world_, who = prefix_of(group->name)](std::string_view text) {
                                      world->board->describe(who + std::string(text));
                                    });
    check_mpi(MPI_Comm_set_errhandler(group->messages.get(), MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    group->channel = make_channel(*world_, *group);
    return std::make_unique<MpiCommunicator>(world_, std::move(group));
  }

  std::vector<std::string> gather_text(const std::string& text) override {
    at::Tensor length = at::full({1}, static_cast<std::int64_t>(text.size()), at::kLong);
    at::Tensor lengths = at::empty({size()}, at::kLong);
    all_gather(lengths, length);
    const std::int64_t longest = lengths.max().item<std::int64_t>();
    at::Tensor own = at::zeros({longest}, at::kByte);
    copy_bytes(own.data_ptr(), text.data(), text.size());
    at::Tensor all = at::empty({size(), longest}, at::kByte);
    all_gather(all, own);
    std::vector<std::string> texts;
    for (int member = 0; member < size(); ++member) {
      const char* start = static_cast<const char*>(all.data_ptr()) + member * longest;
      texts.emplace_back(start, static_cast<std::size_t>(lengths[member].item<std::int64_t>()));
    }
    return texts;
  }

  std::string broadcast_text(std::string text, int root) override {
    at::Tensor length = at::full({1}, static_cast<std::int64_t>(text.size()), at::kLong);
    broadcast(length, root);
    at::Tensor bytes = at::empty({length.item<std::int64_t>()}, at::kByte);
    if (rank() == root) copy_bytes(bytes.data_ptr(), text.data(), text.size());
    broadcast(bytes, root);
    return {static_cast<const char*>(bytes.data_ptr()), static_cast<std::size_t>(bytes.numel())};
  }

  void describe_activity(std::string_view text) override {
    world_->board->describe(prefix_of(name()) + std::string(text));
  }

 private:
  /// Members with this color, ordered by key, then rank.
  std::vector<int> members_of(const at::Tensor& colors_and_keys, int color) const {
    const auto* values = static_cast<const std::int64_t*>(colors_and_keys.data_ptr());
    std::vector<int> members;
    for (int member = 0; member < size(); ++member) {
      if (values[2 * member] == color) members.push_back(member);
    }
    std::stable_sort(members.begin(), members.end(),
                     [&](int a, int b) { return values[2 * a + 1] < values[2 * b + 1]; });
    return members;
  }

  std::unique_ptr<Work> start(std::shared_ptr<Operation> operation) {
    world_->progress.start(operation, *group_);
    return std::make_unique<OperationWork>(world_, group_, std::move(operation));
  }

  std::shared_ptr<World> world_;
  std::shared_ptr<Group> group_;
};

}  // namespace

std::shared_ptr<Communicator> open_world(const WatchdogSettings& settings, std::shared_ptr<NodeBoard> board) {
  auto group = std::make_shared<Group>();
  group->name = "world";
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, group->messages.out()), "MPI_Comm_dup");
  check_mpi(MPI_Comm_set_errhandler(group->messages.get(), MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  int size = 0;
  check_mpi(MPI_Comm_size(group->messages.get(), &size), "MPI_Comm_size");
  check_mpi(MPI_Comm_rank(group->messages.get(), &group->rank), "MPI_Comm_rank");
  for (int rank = 0; rank < size; ++rank) group->world_ranks.push_back(rank);
  if (size == 1) return make_self_communicator(group->name, 0);
  auto world = std::make_shared<World>(settings, std::move(board), nodes_of(group->messages.get()));
  group->channel = make_channel(*world, *group);
  return std::make_shared<MpiCommunicator>(std::move(world), std::move(group));
}

std::shared_ptr<Communicator> open_world(const WatchdogSettings& settings) {
  int initialised = 0;
  MPI_Initialized(&initialised);
  if (initialised == 0) return make_self_communicator("world", 0);
  return open_world(settings, NodeBoard::create());
}

}  // namespace retain::parallel
