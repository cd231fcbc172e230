// SPDX-License-Identifier: Apache-2.0
// Rounds as MPI messages. Messages between two ranks with one tag stay in order, so a tag names the phase alone.
#include "parallel/comm/message_channel.h"

#include <cstring>
#include <exception>
#include <utility>

#include "parallel/comm/mpi_check.h"

namespace retain::parallel {
namespace {

constexpr std::size_t buffers = 2;
constexpr std::size_t phases = 2;
constexpr int announcement_tag = 2;  // 0 and 1 are the phases

/// True for a finished or absent request.
bool done(MPI_Request& request) {
  if (request == MPI_REQUEST_NULL) return true;
  int flag = 0;
  check_mpi(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), "MPI_Test of a collective's piece");
  return flag != 0;
}

std::size_t index_of(std::uint64_t round, Phase phase, int member, int size) {
  return (round % buffers * phases + static_cast<std::size_t>(phase)) * static_cast<std::size_t>(size) +
         static_cast<std::size_t>(member);
}

}  // namespace

MessageChannel::MessageChannel(int rank, int size, MPI_Comm comm)
    : Channel(rank, size),
      comm_(comm),
      incoming_(buffers * phases * static_cast<std::size_t>(size)),
      outgoing_(incoming_.size()),
      heard_(static_cast<std::size_t>(size)) {}

MessageChannel::~MessageChannel() {
  int ended = 0;
  MPI_Finalized(&ended);
  if (ended != 0 || std::uncaught_exceptions() > 0) return;
  for (Heard& heard : heard_) {
    if (heard.request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&heard.request);
    MPI_Wait(&heard.request, MPI_STATUS_IGNORE);
  }
}

MessageChannel::Piece& MessageChannel::incoming(std::uint64_t round, Phase phase, int member) {
  return incoming_[index_of(round, phase, member, size())];
}

MessageChannel::Piece& MessageChannel::outgoing(std::uint64_t round, Phase phase, int member) {
  return outgoing_[index_of(round, phase, member, size())];
}

void MessageChannel::announce(const Descriptor& descriptor) {
  own_ = descriptor;
  for (Heard& heard : heard_) heard.agrees = false;
  Announcement& sent = announcements_.emplace_back();
  sent.descriptor = descriptor;
  for (int peer = 0; peer < size(); ++peer) {
    if (peer == rank()) continue;
    sent.requests.push_back(MPI_REQUEST_NULL);
    check_mpi(
        MPI_Isend(&sent.descriptor, sizeof(Descriptor), MPI_BYTE, peer, announcement_tag, comm_, &sent.requests.back()),
        "MPI_Isend of a descriptor");
  }
}

const Descriptor* MessageChannel::announced(std::uint64_t sequence, std::uint64_t, int member) {
  Heard& heard = heard_[static_cast<std::size_t>(member)];
  while (true) {
    while (!heard.descriptors.empty() && heard.descriptors.front().sequence < sequence) heard.descriptors.pop_front();
    if (!heard.descriptors.empty()) {
      heard.agrees = heard.descriptors.front() == own_;
      if (heard.agrees)
        for (const auto& [piece, phase] : std::exchange(heard.held_back, {})) receive(*piece, phase, member);
      return &heard.descriptors.front();
    }
    if (heard.request == MPI_REQUEST_NULL) {
      check_mpi(
          MPI_Irecv(&heard.arriving, sizeof(Descriptor), MPI_BYTE, member, announcement_tag, comm_, &heard.request),
          "MPI_Irecv of a descriptor");
    }
    if (!done(heard.request)) return nullptr;
    heard.descriptors.push_back(heard.arriving);
  }
}

bool MessageChannel::writable(std::uint64_t round) {
  for (const Phase phase : {Phase::input, Phase::result}) {
    for (int peer = 0; peer < size(); ++peer) {
      if (!done(outgoing(round, phase, peer).request)) return false;
    }
  }
  return true;
}

void MessageChannel::send(std::uint64_t round, Phase phase, int to, const void* source, std::size_t bytes) {
  Piece& piece = outgoing(round, phase, to);
  if (bytes <= copied_bytes) {
    piece.buffer.resize(bytes);
    std::memcpy(piece.buffer.data(), source, bytes);
    source = piece.buffer.data();
  }
  check_mpi(MPI_Isend(source, static_cast<int>(bytes), MPI_BYTE, to, static_cast<int>(phase), comm_, &piece.request),
            "MPI_Isend of a collective's piece");
}

void MessageChannel::put(std::uint64_t round, Phase phase, int to, std::size_t, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  if (to != everybody) return send(round, phase, to, source, bytes);
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != rank()) send(round, phase, peer, source, bytes);
  }
}

void MessageChannel::expect(std::uint64_t round, Phase phase, int from, std::size_t offset, std::size_t bytes) {
  Piece& piece = incoming(round, phase, from);
  piece.buffer.resize(bytes);
  piece.offset = offset;
  if (bytes == 0) return;
  // Were a piece longer than expected, Open MPI 4.1 would write beyond the buffer (its single copy between processes).
  piece.held_back = !heard_[static_cast<std::size_t>(from)].agrees;
  if (piece.held_back) {
    heard_[static_cast<std::size_t>(from)].held_back.emplace_back(&piece, phase);
  } else {
    receive(piece, phase, from);
  }
}

void MessageChannel::receive(Piece& piece, Phase phase, int from) {
  piece.held_back = false;
  check_mpi(MPI_Irecv(piece.buffer.data(), static_cast<int>(piece.buffer.size()), MPI_BYTE, from, static_cast<int>(phase), comm_,
                      &piece.request),
            "MPI_Irecv of a collective's piece");
}

bool MessageChannel::arrived(std::uint64_t round, Phase phase, int from) {
  Piece& piece = incoming(round, phase, from);
  if (piece.held_back || !done(piece.request)) return false;
  // A result from a peer overwrites what was sent to it as input.
  return phase == Phase::input || done(outgoing(round, Phase::input, from).request);
}

const std::byte* MessageChannel::view(std::uint64_t round, Phase phase, int from, std::size_t offset) {
  const Piece& piece = incoming(round, phase, from);
  return piece.buffer.data() + (offset - piece.offset);
}

bool MessageChannel::flushed() {
  for (Piece& piece : outgoing_) {
    if (!done(piece.request)) return false;
  }
  std::erase_if(announcements_, [](Announcement& sent) {
    for (MPI_Request& request : sent.requests) {
      if (!done(request)) return false;
    }
    return true;
  });
  return true;
}

}  // namespace retain::parallel
