// SPDX-License-Identifier: Apache-2.0
// Work on a CUDA stream, waited for under the watchdog. CUDA builds only.
#pragma once
#include <ATen/core/Tensor.h>
#include <cuda_runtime_api.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "parallel/comm/communicator.h"
#include "parallel/comm/nccl_handle.h"

namespace retain::parallel {

/// A CUDA event that is destroyed when it goes.
class CudaEvent {
 public:
  CudaEvent();
  ~CudaEvent();
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  cudaEvent_t get() const noexcept { return handle_; }

 private:
  cudaEvent_t handle_ = nullptr;
};

/// What was enqueued on `stream` until now: waited for by polling, so that a missing peer is an error and not a hang.
class NcclWork final : public Work {
 public:
  /// Keeps the tensors until the stream has passed.
  NcclWork(std::shared_ptr<NcclHandle> comm, cudaStream_t stream, std::vector<at::Tensor> kept, std::string operation,
           std::chrono::milliseconds timeout);
  ~NcclWork() override;
  void wait() override;

 private:
  [[noreturn]] void give_up() const;

  std::shared_ptr<NcclHandle> comm_;
  std::vector<at::Tensor> kept_;
  std::string operation_;
  std::chrono::milliseconds timeout_;
  CudaEvent event_;
  bool waited_ = false;
};

}  // namespace retain::parallel
