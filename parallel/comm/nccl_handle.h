// SPDX-License-Identifier: Apache-2.0
// Owner of an NCCL communicator, and NCCL's and CUDA's return codes as exceptions. CUDA builds only.
#pragma once
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <chrono>
#include <string>

namespace retain::parallel {

/// Throw Error(communication) that names the call. An operation in progress is no failure of NCCL.
void check_nccl(ncclResult_t code, const char* call);
void check_cuda(cudaError_t code, const char* call);

/// A non-blocking communicator: nothing inside NCCL waits without the watchdog.
class NcclHandle {
 public:
  /// Collective over the `size` ranks that were given the same id. `where` names the group in messages.
  NcclHandle(const ncclUniqueId& id, int rank, int size, std::chrono::milliseconds timeout, std::string where);
  ~NcclHandle();
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;

  ncclComm_t get() const noexcept { return handle_; }
  /// Waits until NCCL has accepted what was enqueued. Throws Error(communication) on failure or after the timeout.
  void settle(const std::string& operation) const;

 private:
  ncclComm_t handle_ = nullptr;
  std::chrono::milliseconds timeout_;
  std::string where_;
};

}  // namespace retain::parallel
