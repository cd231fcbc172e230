// SPDX-License-Identifier: Apache-2.0
// The channel of a group whose members share a node: slots in one shared segment, and counters that say how far each
// member has come. No system call while peers keep pace.
#pragma once
#include <memory>

#include "parallel/comm/channel.h"
#include "parallel/comm/shared_segment.h"

namespace retain::parallel {

class SharedChannel final : public Channel {
 public:
  /// Bytes of a slot for a group of `size` members: small enough that all of a round's slots stay in cache.
  static std::size_t slot_bytes(int size);
  /// Bytes the segment must have.
  static std::size_t segment_bytes(int size);
  SharedChannel(int rank, int size, std::unique_ptr<SharedSegment> segment);

  std::size_t capacity() const override { return slot_bytes_; }
  void announce(const Descriptor& descriptor) override;
  const Descriptor* announced(std::uint64_t sequence, std::uint64_t round, int member) override;
  bool writable(std::uint64_t round) override;
  void put(std::uint64_t round, Phase phase, int to, std::size_t offset, const void* source,
           std::size_t bytes) override;
  void expect(std::uint64_t, Phase, int, std::size_t, std::size_t) override {}
  void post(std::uint64_t round, Phase phase) override;
  bool arrived(std::uint64_t round, Phase phase, int from) override;
  const std::byte* view(std::uint64_t round, Phase phase, int from, std::size_t offset) override;
  bool flushed() override { return true; }

 private:
  struct Member;
  Member& member(int rank) const;
  std::byte* slot(std::uint64_t round, Phase phase, int member) const;

  std::unique_ptr<SharedSegment> segment_;
  std::size_t slot_bytes_;
};

}  // namespace retain::parallel
