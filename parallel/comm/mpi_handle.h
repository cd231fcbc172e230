// SPDX-License-Identifier: Apache-2.0
// Owner of an MPI communicator.
#pragma once
#include <mpi.h>

#include <exception>
#include <utility>

namespace retain::parallel {

/// Frees its handle, except while an exception unwinds (the peers may not follow) or after MPI has ended.
class MpiComm {
 public:
  MpiComm() = default;
  ~MpiComm() { release(); }
  MpiComm(MpiComm&& other) noexcept : handle_(std::exchange(other.handle_, MPI_COMM_NULL)) {}
  MpiComm& operator=(MpiComm&& other) noexcept {
    if (this != &other) {
      release();
      handle_ = std::exchange(other.handle_, MPI_COMM_NULL);
    }
    return *this;
  }

  MPI_Comm get() const noexcept { return handle_; }
  /// Where an MPI call writes a new handle.
  MPI_Comm* out() noexcept { return &handle_; }

 private:
  void release() noexcept {
    if (handle_ == MPI_COMM_NULL || std::uncaught_exceptions() > 0) return;
    int ended = 0;
    MPI_Finalized(&ended);
    if (ended == 0) MPI_Comm_free(&handle_);
    handle_ = MPI_COMM_NULL;
  }

  MPI_Comm handle_ = MPI_COMM_NULL;
};

}  // namespace retain::parallel
