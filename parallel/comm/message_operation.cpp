// SPDX-License-Identifier: Apache-2.0
// Point-to-point messages as operations.
#include "parallel/comm/message_operation.h"

#include <mpi.h>

#include <algorithm>
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
    int all = 0;
    std::vector<MPI_Status> statuses(requests_.size());
    const int code = MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &all, statuses.data());
    if (code == MPI_ERR_IN_STATUS) {
      for (const MPI_Status& status : statuses) {
        if (status.MPI_ERROR == MPI_ERR_TRUNCATE) throw size_error("a longer message");
        if (status.MPI_ERROR != MPI_ERR_PENDING) check_mpi(status.MPI_ERROR, "MPI_Testall");
      }
    }
    check_mpi(code, "MPI_Testall");
    if (all == 0) return false;
    if (descriptor().kind == OperationKind::receive) check_sizes(statuses);
    finish();
    return true;
  }

  std::vector<int> missing() override { return {peer_}; }

 private:
  static Descriptor described(const at::Tensor& tensor, OperationKind kind, int peer) {
    Descriptor descriptor;
    descriptor.kind = kind;
    descriptor.elements = tensor.numel();
    descriptor.dtype = static_cast<std::int8_t>(tensor.scalar_type());
    descriptor.root = peer;
    return descriptor;
  }

  void add_piece(void* data, int bytes) {
    sizes_.push_back(bytes);
    requests_.push_back(MPI_REQUEST_NULL);
    MPI_Comm comm = group_->messages.get();
    if (descriptor().kind == OperationKind::send) {
      check_mpi(MPI_Isend(data, bytes, MPI_BYTE, peer_, tag_, comm, &requests_.back()), "MPI_Isend");
    } else {
      check_mpi(MPI_Irecv(data, bytes, MPI_BYTE, peer_, tag_, comm, &requests_.back()), "MPI_Irecv");
    }
  }

  void check_sizes(const std::vector<MPI_Status>& statuses) const {
    for (std::size_t i = 0; i < statuses.size(); ++i) {
      int bytes = 0;
      check_mpi(MPI_Get_count(&statuses[i], MPI_BYTE, &bytes), "MPI_Get_count");
      if (bytes != sizes_[i]) throw size_error(std::to_string(bytes) + " bytes");
    }
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
  std::vector<int> sizes_;
  std::vector<MPI_Request> requests_;
};

}  // namespace

std::shared_ptr<Operation> make_send(std::shared_ptr<Group> group, at::Tensor tensor, int to, int tag) {
  return std::make_shared<MessageOperation>(std::move(group), std::move(tensor), OperationKind::send, to, tag);
}

std::shared_ptr<Operation> make_receive(std::shared_ptr<Group> group, at::Tensor tensor, int from, int tag) {
  return std::make_shared<MessageOperation>(std::move(group), std::move(tensor), OperationKind::receive, from, tag);
}

}  // namespace retain::parallel
