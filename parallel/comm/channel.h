// SPDX-License-Identifier: Apache-2.0
// How the members of one group exchange bytes in rounds. A collective is a run of rounds; in each, every member puts
// pieces for its peers (phase `input`), reads theirs once all have arrived, and may answer (phase `result`).
// Two rounds may be under way at once. Implementations: shared memory (one node) and MPI messages.
#pragma once
#include <cstddef>
#include <cstdint>

#include "parallel/comm/descriptor.h"

namespace retain::parallel {

enum class Phase : int { input = 0, result = 1 };

class Channel {
 public:
  static constexpr int everybody = -1;
  /// put() copies pieces up to this size; their source may change at once.
  static constexpr std::size_t copied_bytes = 8192;

  Channel(int rank, int size) : rank_(rank), size_(size) {}
  virtual ~Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }
  /// Bytes that one member may put in one phase of one round.
  virtual std::size_t capacity() const = 0;

  /// Makes this rank's next collective known to the peers. Called once per collective, before its first put.
  virtual void announce(const Descriptor& descriptor) = 0;
  /// What `member` announced for the collective `sequence`, or nullptr while it has not entered that one's first
  /// round `round`.
  virtual const Descriptor* announced(std::uint64_t sequence, std::uint64_t round, int member) = 0;

  /// May pieces of this round be put (peers have read those of two rounds ago)?
  virtual bool writable(std::uint64_t round) = 0;
  /// Hands bytes to `to` (or everybody). `offset` places them in this member's slot. At most one piece
  /// per peer, phase and round. A source above copied_bytes must stay unchanged until flushed(), or until the same
  /// round's result from `to` has arrived.
  virtual void put(std::uint64_t round, Phase phase, int to, std::size_t offset, const void* source,
                   std::size_t bytes) = 0;
  /// Says that `bytes` at `offset` of the slot of `from` will be read; before arrived() is asked.
  virtual void expect(std::uint64_t round, Phase phase, int from, std::size_t offset, std::size_t bytes) = 0;
  /// All of this member's pieces of the phase are put; for `result` also: this member has read its peers' input.
  virtual void post(std::uint64_t round, Phase phase) = 0;
  virtual bool arrived(std::uint64_t round, Phase phase, int from) = 0;
  /// The bytes of `from`; valid once arrived() and until this member posts `result` (input) or finishes the round.
  virtual const std::byte* view(std::uint64_t round, Phase phase, int from, std::size_t offset) = 0;
  /// True when all sources handed to put() may be reused.
  virtual bool flushed() = 0;

  /// Rounds and collectives of this group begun or finished by this rank.
  std::uint64_t begun_rounds = 0;
  std::uint64_t finished_rounds = 0;
  std::uint64_t begun_collectives = 0;

 private:
  int rank_;
  int size_;
};

}  // namespace retain::parallel
