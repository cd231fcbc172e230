// SPDX-License-Identifier: Apache-2.0
// Point-to-point messages as operations.
#include "parallel/comm/message_operation.h"

#include <mpi.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "framework/base/error.h"
#include "parallel/comm/mpi_check.h"

namespace retain::parallel {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 30;

class MessageOperation final : public Operation {
 public:
  MessageOperation(std::shared_ptr<Group> group, at::Tensor tensor, OperationKind kind, int peer, int tag)
      : Operation(described(tensor, kind, peer)),
        group_(std::move(group)),
        tensor_(std::move(tensor)),
        peer_(peer),
        tag_(tag) {
    std::size_t start = 0;
    do {  // an empty tensor is one empty message
      const std::size_t bytes = std::min(piece_bytes, tensor_.nbytes() - start);
      add_piece(static_cast<std::byte*>(tensor_.data_ptr()) + start, static_cast<int>(bytes));
      start += bytes;
    } while (start < tensor_.nbytes());
  }

  bool advance() override {
    const bool moved = match();
    int all = 0;
    if (matched_ == requests_.size())
      check_mpi(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &all, MPI_STATUSES_IGNORE), "MPI_Testall");
    if (all != 0) finish();
    return moved || all != 0;
  }

  std::vector<int> missing() override { return {peer_}; }

 private:
  struct Piece {
    std::byte* data;
    int bytes;
    std::uint64_t turn;  // of a receive
  };

  static Descriptor described(const at::Tensor& tensor, OperationKind kind, int peer) {
    Descriptor descriptor;
    descriptor.kind = kind;
    descriptor.elements = tensor.numel();
    descriptor.dtype = static_cast<std::int8_t>(tensor.scalar_type());
    descriptor.root = peer;
    return descriptor;
  }

  void add_piece(std::byte* data, int bytes) {
    pieces_.push_back({data, bytes, 0});
    requests_.push_back(MPI_REQUEST_NULL);
    if (descriptor().kind == OperationKind::receive) {
      pieces_.back().turn = turns().taken++;
      return;
    }
    check_mpi(MPI_Isend(data, bytes, MPI_BYTE, peer_, tag_, group_->messages.get(), &requests_.back()), "MPI_Isend");
    ++matched_;
  }

  ReceiveTurns& turns() { return group_->receive_turns[{peer_, tag_}]; }

  /// Receives what has come, once its size is known to be right: where a message is longer than the buffer, Open MPI 4.1 writes
  /// beyond it (its single copy between processes) before it says MPI_ERR_TRUNCATE.
  bool match() {
    const std::size_t before = matched_;
    for (; matched_ < pieces_.size() && pieces_[matched_].turn == turns().served; ++matched_, ++turns().served) {
      const Piece& piece = pieces_[matched_];
      int here = 0;
      MPI_Message message = MPI_MESSAGE_NULL;
      MPI_Status status;
      check_mpi(MPI_Improbe(peer_, tag_, group_->messages.get(), &here, &message, &status), "MPI_Improbe");
      if (here == 0) break;
      int bytes = 0;
      check_mpi(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
      if (bytes != piece.bytes) throw size_error(std::to_string(bytes) + " bytes");
      check_mpi(MPI_Imrecv(piece.data, bytes, MPI_BYTE, &message, &requests_[matched_]), "MPI_Imrecv");
    }
    return matched_ != before;
  }

  framework::Error size_error(const std::string& found) const {
    return {framework::ErrorKind::communication,
            {to_string(descriptor()) + " with tag " + std::to_string(tag_) + " in " + to_string(*group_) +
                 ": the sender's tensor has another size",
             std::to_string(tensor_.nbytes()) + " bytes", found,
             "sender and receiver must name tensors of the same shape and dtype"}};
  }

  std::shared_ptr<Group> group_;
  at::Tensor tensor_;
  int peer_;
  int tag_;
  std::vector<Piece> pieces_;
  std::vector<MPI_Request> requests_;  // of the pieces
  std::size_t matched_ = 0;            // first pieces that are sent, or for which a message has come
};

}  // namespace

std::shared_ptr<Operation> make_send(std::shared_ptr<Group> group, at::Tensor tensor, int to, int tag) {
  return std::make_shared<MessageOperation>(std::move(group), std::move(tensor), OperationKind::send, to, tag);
}

std::shared_ptr<Operation> make_receive(std::shared_ptr<Group> group, at::Tensor tensor, int from, int tag) {
  return std::make_shared<MessageOperation>(std::move(group), std::move(tensor), OperationKind::receive, from, tag);
}

}  // namespace retain::parallel
