// SPDX-License-Identifier: Apache-2.0
// Rounds through shared memory.
//
// Why two buffers suffice: a member fills its input slot of round k only when every peer has posted `result` of k-2 (it
// has read what the slot held), and a member answers in round k only when every peer has posted `input` of k, which a
// peer does after it finished round k-2 (it has read the result slot that is now overwritten).
#include "parallel/comm/shared_channel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

namespace retain::parallel {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t page = 4096;
constexpr std::size_t buffers = 2;
constexpr std::size_t remembered = 4;  // a peer is at most two collectives ahead
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

struct alignas(cache_line) Counter {
  std::atomic<std::uint64_t> rounds;  // posted so far
};

std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// A member's share of a slot, with room for shares rounded up to whole cache lines.
std::size_t result_bytes(int size) {
  return round_up(SharedChannel::slot_bytes(size) / static_cast<std::size_t>(size) + cache_line, page);
}

}  // namespace

/// Written by its owner, read by all; the counters lie on lines of their own.
struct SharedChannel::Member {
  std::array<Counter, 2> posted;  // by phase
  alignas(cache_line) std::array<Descriptor, remembered> descriptors;
};

std::size_t SharedChannel::slot_bytes(int size) {
  constexpr std::size_t all_slots = std::size_t{1} << 20;
  return std::clamp(all_slots / static_cast<std::size_t>(size), std::size_t{64} << 10, std::size_t{512} << 10) / page *
         page;
}

std::size_t SharedChannel::segment_bytes(int size) {
  const std::size_t members = static_cast<std::size_t>(size);
  return round_up(members * sizeof(Member), page) + buffers * members * (slot_bytes(size) + result_bytes(size));
}

SharedChannel::SharedChannel(int rank, int size, std::unique_ptr<SharedSegment> segment)
    : Channel(rank, size), segment_(std::move(segment)), slot_bytes_(slot_bytes(size)) {}

SharedChannel::Member& SharedChannel::member(int rank) const {
  return reinterpret_cast<Member*>(segment_->data())[rank];  // zero-filled memory is a valid Member
}

std::byte* SharedChannel::slot(std::uint64_t round, Phase phase, int member) const {
  const std::size_t members = static_cast<std::size_t>(size());
  std::byte* inputs = segment_->data() + round_up(members * sizeof(Member), page);
  std::byte* results = inputs + buffers * members * slot_bytes_;
  const std::size_t index = round % buffers * members + static_cast<std::size_t>(member);
  return phase == Phase::input ? inputs + index * slot_bytes_ : results + index * result_bytes(size());
}

void SharedChannel::announce(const Descriptor& descriptor) {
  member(rank()).descriptors[descriptor.sequence % remembered] = descriptor;  // ordered by the post of its first round
}

const Descriptor* SharedChannel::announced(std::uint64_t sequence, std::uint64_t round, int peer) {
  return arrived(round, Phase::input, peer) ? &member(peer).descriptors[sequence % remembered] : nullptr;
}

bool SharedChannel::writable(std::uint64_t round) {
  if (round < buffers) return true;
  for (int peer = 0; peer < size(); ++peer) {
    if (!arrived(round - buffers, Phase::result, peer)) return false;
  }
  return true;
}

void SharedChannel::put(std::uint64_t round, Phase phase, int, std::size_t offset, const void* source,
                        std::size_t bytes) {
  if (bytes > 0) std::memcpy(slot(round, phase, rank()) + offset, source, bytes);
}

void SharedChannel::post(std::uint64_t round, Phase phase) {
  member(rank()).posted[static_cast<std::size_t>(phase)].rounds.store(round + 1, std::memory_order_release);
}

bool SharedChannel::arrived(std::uint64_t round, Phase phase, int from) {
  return member(from).posted[static_cast<std::size_t>(phase)].rounds.load(std::memory_order_acquire) > round;
}

const std::byte* SharedChannel::view(std::uint64_t round, Phase phase, int from, std::size_t offset) {
  return slot(round, phase, from) + offset;
}

}  // namespace retain::parallel
