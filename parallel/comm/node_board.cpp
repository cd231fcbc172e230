// SPDX-License-Identifier: Apache-2.0
// The table of what the ranks of a node are doing.
#include "parallel/comm/node_board.h"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "parallel/comm/mpi_check.h"
#include "parallel/comm/mpi_handle.h"
#include "parallel/comm/node_identity.h"
#include "parallel/comm/process_identity.h"

namespace retain::parallel {
namespace {

constexpr std::size_t cache_line = 64;

enum class State : std::int32_t { computing, waiting };

template <std::size_t n>
void copy_text(std::array<char, n>& to, std::string_view from) {
  const std::size_t length = std::min(from.size(), n - 1);
  std::memcpy(to.data(), from.data(), length);
  to[length] = '\0';
}

// The clock is the machine's, so times of different processes compare.
std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string seconds_text(std::int64_t ms) {
  return std::to_string(ms / 1000) + "." + std::to_string(ms / 100 % 10) + " s";
}

/// What one rank tells.
struct Status {
  State state;
  std::int32_t awaited_rank_plus_one;  // of a waiting rank that has said so; 0 otherwise
  std::int64_t since_ms;
  Descriptor descriptor;
  std::array<char, 32> group;
  std::array<char, 128> activity;
};

std::string to_text(const Status& status) {
  const std::string operation = to_string(status.descriptor) + " of group '" + status.group.data() + "'";
  const std::string age = seconds_text(now_ms() - status.since_ms);
  const std::string whom = status.awaited_rank_plus_one == 0 ? "" : ", for rank " + std::to_string(status.awaited_rank_plus_one - 1);
  std::string text = status.state == State::waiting                  ? "waiting in " + operation + " for " + age + whom
                     : status.descriptor.kind == OperationKind::none ? "computing for " + age + ", no operation yet"
                                                                     : "computing for " + age + " since " + operation;
  if (status.activity[0] != '\0') text += "; activity: " + std::string(status.activity.data());
  return text;
}

}  // namespace

struct NodeBoard::Header {
  alignas(cache_line) std::atomic<std::int32_t> failed_rank_plus_one;
};

/// `version` is odd while the owner writes; a reader takes a copy only when it was even and unchanged.
struct NodeBoard::Entry {
  alignas(cache_line) std::atomic<std::uint32_t> version;
  std::int32_t world_rank;
  ProcessIdentity process;
  Status status;

  /// Nothing while the owner never stops writing.
  std::optional<Status> read() const {
    for (int attempt = 0; attempt < 1000; ++attempt) {
      const std::uint32_t before = version.load(std::memory_order_acquire);
      const Status copy = status;
      std::atomic_thread_fence(std::memory_order_acquire);
      if (before % 2 == 0 && version.load(std::memory_order_relaxed) == before) return copy;
    }
    return std::nullopt;
  }
};

std::shared_ptr<NodeBoard> NodeBoard::create() {
  int world_rank = 0;
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &world_rank), "MPI_Comm_rank");
  const std::vector<int> nodes = nodes_of(MPI_COMM_WORLD);
  const int first_of_node = nodes[static_cast<std::size_t>(world_rank)];
  const bool alone = std::all_of(nodes.begin(), nodes.end(), [&](int node) { return node == nodes.front(); });
  auto notice = alone ? nullptr : std::make_unique<FailureNotice>(nodes);
  MpiComm node;
  check_mpi(MPI_Comm_split(MPI_COMM_WORLD, first_of_node, world_rank, node.out()), "MPI_Comm_split");
  int ranks = 0;
  int own = 0;
  check_mpi(MPI_Comm_size(node.get(), &ranks), "MPI_Comm_size");
  check_mpi(MPI_Comm_rank(node.get(), &own), "MPI_Comm_rank");
  auto segment = SharedSegment::create(node.get(), sizeof(Header) + static_cast<std::size_t>(ranks) * sizeof(Entry));
  auto board = std::make_shared<NodeBoard>(std::move(segment), std::move(notice), ranks, own, world_rank);
  check_mpi(MPI_Barrier(node.get()), "MPI_Barrier");
  board->watches_processes_ = board->sees_all_processes();
  check_mpi(MPI_Barrier(node.get()), "MPI_Barrier");  // nobody ends before all have looked
  return board;
}

NodeBoard::NodeBoard(std::unique_ptr<SharedSegment> segment, std::unique_ptr<FailureNotice> notice, int entries,
                     int own, int world_rank)
    : notice_(std::move(notice)), segment_(std::move(segment)), entries_(entries), own_(own), world_rank_(world_rank) {
  if (!segment_) return;
  entry(own_).world_rank = world_rank;
  entry(own_).process = own_process();
  write([](Status& status) { status.since_ms = now_ms(); });
}

NodeBoard::Header& NodeBoard::header() const {
  return *reinterpret_cast<Header*>(segment_->data());
}

NodeBoard::Entry& NodeBoard::entry(int index) const {
  return reinterpret_cast<Entry*>(segment_->data() + sizeof(Header))[index];
}

bool NodeBoard::has_first_rank() const {
  if (!segment_) return world_rank_ == 0;
  return entry(0).world_rank == 0;  // node ranks are ordered by world rank
}

template <class Change>
void NodeBoard::write(Change change) {
  if (!segment_) return;
  Entry& own = entry(own_);
  const std::uint32_t version = own.version.load(std::memory_order_relaxed);
  own.version.store(version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  change(own.status);
  own.version.store(version + 2, std::memory_order_release);
}

void NodeBoard::record(bool waiting, const Descriptor& descriptor, std::string_view group) {
  write([&](Status& status) {
    status.state = waiting ? State::waiting : State::computing;
    status.awaited_rank_plus_one = 0;
    status.since_ms = now_ms();
    status.descriptor = descriptor;
    copy_text(status.group, group);
  });
}

void NodeBoard::start(const Descriptor& descriptor, std::string_view group) {
  record(false, descriptor, group);
}

void NodeBoard::enter(const Descriptor& descriptor, std::string_view group) {
  record(true, descriptor, group);
}

void NodeBoard::leave() {
  write([](Status& status) {
    status.state = State::computing;
    status.awaited_rank_plus_one = 0;
    status.since_ms = now_ms();
  });
}

void NodeBoard::await(int world_rank) {
  write([&](Status& status) { status.awaited_rank_plus_one = world_rank + 1; });
}

void NodeBoard::describe(std::string_view activity) {
  write([&](Status& status) { copy_text(status.activity, activity); });
}

const NodeBoard::Entry* NodeBoard::entry_of(int world_rank) const {
  for (int i = 0; segment_ && i < entries_; ++i)
    if (entry(i).world_rank == world_rank) return &entry(i);
  return nullptr;
}

std::string NodeBoard::status_of(int world_rank) const {
  const Entry* other = entry_of(world_rank);
  if (!other) return "on another host, its activity is not known here";
  const std::optional<Status> status = other->read();
  return status ? to_text(*status) : "busy";
}

int NodeBoard::awaited_by(int world_rank) const {
  const Entry* other = entry_of(world_rank);
  const std::optional<Status> status = other ? other->read() : std::nullopt;
  return status ? status->awaited_rank_plus_one - 1 : -1;
}

std::string NodeBoard::activity() const {
  return segment_ ? entry(own_).status.activity.data() : "";
}

bool NodeBoard::knows(int world_rank) const {
  return entry_of(world_rank) != nullptr;
}

bool NodeBoard::sees_all_processes() const noexcept {
  for (int i = 0; segment_ && i < entries_; ++i)
    if (!runs(entry(i).process)) return false;
  return segment_ != nullptr;
}

int NodeBoard::gone_rank() const noexcept {
  for (int i = 0; watches_processes_ && i < entries_; ++i)
    if (!runs(entry(i).process)) return entry(i).world_rank;
  return -1;
}

bool NodeBoard::claim_failure() {
  if (failed_rank() >= 0) return false;
  std::int32_t none = 0;
  return !segment_ || header().failed_rank_plus_one.compare_exchange_strong(none, world_rank_ + 1);
}

bool NodeBoard::failed_elsewhere() const {
  return notice_ && notice_->arrived() >= 0;
}

void NodeBoard::tell_other_nodes() {
  if (notice_) notice_->send();
}

int NodeBoard::failed_rank() const {
  const int known = segment_ ? header().failed_rank_plus_one.load(std::memory_order_relaxed) - 1 : -1;
  if (known >= 0 || !notice_) return known;
  const int elsewhere = notice_->arrived();
  std::int32_t none = 0;
  if (elsewhere >= 0 && segment_) header().failed_rank_plus_one.compare_exchange_strong(none, elsewhere + 1);
  return elsewhere;
}

}  // namespace retain::parallel
