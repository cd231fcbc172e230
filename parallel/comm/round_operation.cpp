// SPDX-License-Identifier: Apache-2.0
// Runs the rounds of a collective: the next round's input goes out before this round's is read.
#include "parallel/comm/round_operation.h"

#include <utility>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

constexpr std::uint64_t rounds_under_way = 2;

Descriptor numbered(Descriptor descriptor, Channel& channel) {
  descriptor.sequence = ++channel.begun_collectives;
  return descriptor;
}

}  // namespace

RoundOperation::RoundOperation(std::shared_ptr<Group> group, Descriptor descriptor, std::uint64_t rounds, bool answers)
    : Operation(numbered(descriptor, *group->channel)),
      group_(std::move(group)),
      rounds_(rounds),
      first_(channel().begun_rounds),
      answers_(answers),
      agreed_(static_cast<std::size_t>(size()), false) {
  channel().begun_rounds += rounds_;
  agreed_[static_cast<std::size_t>(rank())] = true;
}

void RoundOperation::consume(std::uint64_t, std::uint64_t) {}

bool RoundOperation::needs(int) const {
  return true;
}

bool RoundOperation::advance() {
  if (finished() || channel().finished_rounds < first_) return false;  // collectives of a group follow each other
  bool moved = false;
  while (step()) moved = true;
  if (consumed_ == rounds_ && channel().flushed()) {
    finish();
    return true;
  }
  return moved;
}

bool RoundOperation::step() {
  if (produced_ < rounds_ && produced_ < consumed_ + rounds_under_way && channel().writable(first_ + produced_)) {
    if (!announced_) channel().announce(descriptor());
    announced_ = true;
    produce(produced_, first_ + produced_);
    channel().post(first_ + produced_, Phase::input);
    ++produced_;
    return true;
  }
  if (combined_ == 0 && produced_ > 0) check_announcements();
  if (combined_ < produced_ && all_arrived(first_ + combined_, Phase::input)) {
    combine(combined_, first_ + combined_);
    channel().post(first_ + combined_, Phase::result);
    ++combined_;
    return true;
  }
  if (consumed_ < combined_ && (!answers_ || all_arrived(first_ + consumed_, Phase::result))) {
    consume(consumed_, first_ + consumed_);
    ++consumed_;
    ++channel().finished_rounds;
    return true;
  }
  return false;
}

bool RoundOperation::all_arrived(std::uint64_t round, Phase phase) {
  for (int member = 0; member < size(); ++member) {
    if (member == rank() || !needs(member)) continue;
    if (!agreed_[static_cast<std::size_t>(member)] || !channel().arrived(round, phase, member)) return false;
  }
  return true;
}

void RoundOperation::check_announcements() {
  for (int member = 0; member < size(); ++member) {
    if (agreed_[static_cast<std::size_t>(member)] || !needs(member)) continue;
    const Descriptor* other = channel().announced(descriptor().sequence, first_, member);
    if (other == nullptr) continue;
    if (*other == descriptor()) {
      agreed_[static_cast<std::size_t>(member)] = true;
      continue;
    }
    const auto name = [&](int which) {
      return "rank " + std::to_string(group_->world_ranks[static_cast<std::size_t>(which)]);
    };
    throw framework::Error(
        framework::ErrorKind::communication,
        {"ranks of " + to_string(*group_) + " called different operations",
         to_string(descriptor()) + ", as " + name(rank()) + " did", to_string(*other) + " by " + name(member),
         "all ranks of a group must make the same calls with the same sizes in the same order"});
  }
}

std::vector<int> RoundOperation::missing() {
  std::vector<int> absent;
  if (channel().finished_rounds < first_) return absent;
  const bool reads_input = combined_ < produced_;
  const bool reads_result = !reads_input && consumed_ < combined_;
  // Otherwise it waits to write: for peers to have read the buffer of two rounds ago.
  if (!reads_input && !reads_result && first_ + produced_ < rounds_under_way) return absent;
  const std::uint64_t round = reads_input    ? first_ + combined_
                              : reads_result ? first_ + consumed_
                                             : first_ + produced_ - rounds_under_way;
  for (int member = 0; member < size(); ++member) {
    if (member == rank() || (reads_input && !needs(member))) continue;
    // Where a round carries no bytes, a barrier's, its announcement alone tells that a member has come.
    const bool came = !reads_input || agreed_[static_cast<std::size_t>(member)];
    if (!came || !channel().arrived(round, reads_input ? Phase::input : Phase::result, member)) absent.push_back(member);
  }
  return absent;
}

}  // namespace retain::parallel
