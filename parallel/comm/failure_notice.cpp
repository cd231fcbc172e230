// SPDX-License-Identifier: Apache-2.0
#include "parallel/comm/failure_notice.h"

#include <chrono>
#include <thread>
#include <utility>

#include "parallel/comm/mpi_check.h"

namespace retain::parallel {
namespace {

constexpr int tag = 1;
constexpr auto time_to_leave = std::chrono::milliseconds(500);

}  // namespace

FailureNotice::FailureNotice(std::vector<int> nodes) : nodes_(std::move(nodes)) {
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, comm_.out()), "MPI_Comm_dup");
  check_mpi(MPI_Comm_set_errhandler(comm_.get(), MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(comm_.get(), &own_), "MPI_Comm_rank");
}

void FailureNotice::send() noexcept {
  std::vector<MPI_Request> requests;
  for (std::size_t rank = 0; rank < nodes_.size(); ++rank) {
    if (nodes_[rank] == nodes_[static_cast<std::size_t>(own_)]) continue;
    MPI_Request request = MPI_REQUEST_NULL;
    if (MPI_Isend(nullptr, 0, MPI_BYTE, static_cast<int>(rank), tag, comm_.get(), &request) == MPI_SUCCESS)
      requests.push_back(request);
  }
  // Codes are not looked at: the process is about to end, and a host may be out of reach.
  const auto deadline = std::chrono::steady_clock::now() + time_to_leave;
  int done = 0;
  while (done == 0 && std::chrono::steady_clock::now() < deadline) {
    if (MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS)
      return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

int FailureNotice::arrived() const noexcept {
  int found = 0;
  MPI_Status status;
  if (MPI_Iprobe(MPI_ANY_SOURCE, tag, comm_.get(), &found, &status) != MPI_SUCCESS || found == 0) return -1;
  return status.MPI_SOURCE;
}

}  // namespace retain::parallel
