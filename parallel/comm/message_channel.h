// SPDX-License-Identifier: Apache-2.0
// The channel of a group that spans nodes: every piece is an MPI message. Its rounds and reductions are those of the
// shared-memory channel, so results are the same bits.
#pragma once
#include <mpi.h>

#include <array>
#include <deque>
#include <list>
#include <utility>
#include <vector>

#include "parallel/comm/channel.h"

namespace retain::parallel {

class MessageChannel final : public Channel {
 public:
  /// `comm` is used by this channel alone and must outlive it.
  MessageChannel(int rank, int size, MPI_Comm comm);
  ~MessageChannel() override;

  std::size_t capacity() const override { return std::size_t{1} << 20; }
  void announce(const Descriptor& descriptor) override;
  const Descriptor* announced(std::uint64_t sequence, std::uint64_t round, int member) override;
  bool writable(std::uint64_t round) override;
  void put(std::uint64_t round, Phase phase, int to, std::size_t offset, const void* source,
           std::size_t bytes) override;
  void expect(std::uint64_t round, Phase phase, int from, std::size_t offset, std::size_t bytes) override;
  void post(std::uint64_t, Phase) override {}
  bool arrived(std::uint64_t round, Phase phase, int from) override;
  const std::byte* view(std::uint64_t round, Phase phase, int from, std::size_t offset) override;
  bool flushed() override;

 private:
  struct Piece {
    MPI_Request request = MPI_REQUEST_NULL;
    bool held_back = false;  // expected, but not asked of MPI yet
    std::vector<std::byte> buffer;  // incoming: the data; outgoing: a copy of a small source
    std::size_t offset = 0;
  };
  struct Announcement {
    Descriptor descriptor;
    std::vector<MPI_Request> requests;
  };
  struct Heard {  // from one member
    MPI_Request request = MPI_REQUEST_NULL;
    Descriptor arriving;
    std::deque<Descriptor> descriptors;
    bool agrees = false;            // its announcement is this rank's own
    std::vector<std::pair<Piece*, Phase>> held_back;  // until then, in the order of their rounds
  };

  Piece& incoming(std::uint64_t round, Phase phase, int member);
  Piece& outgoing(std::uint64_t round, Phase phase, int member);
  void receive(Piece& piece, Phase phase, int from);
  void send(std::uint64_t round, Phase phase, int to, const void* source, std::size_t bytes);

  MPI_Comm comm_;
  Descriptor own_;  // announced last
  std::vector<Piece> incoming_;  // [round % 2][phase][member]
  std::vector<Piece> outgoing_;
  std::list<Announcement> announcements_;
  std::vector<Heard> heard_;
};

}  // namespace retain::parallel
