// SPDX-License-Identifier: Apache-2.0
// Work on a CUDA stream.
#include "parallel/comm/nccl_work.h"

#include <exception>
#include <thread>
#include <utility>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

using framework::Error;
using framework::ErrorKind;

constexpr auto poll_step = std::chrono::microseconds(20);

}  // namespace

CudaEvent::CudaEvent() {
  check_cuda(cudaEventCreateWithFlags(&handle_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
}

CudaEvent::~CudaEvent() {
  cudaEventDestroy(handle_);
}

NcclWork::NcclWork(std::shared_ptr<NcclHandle> comm, cudaStream_t stream, std::vector<at::Tensor> kept,
                   std::string operation, std::chrono::milliseconds timeout)
    : comm_(std::move(comm)), kept_(std::move(kept)), operation_(std::move(operation)), timeout_(timeout) {
  check_cuda(cudaEventRecord(event_.get(), stream), "cudaEventRecord");
}

NcclWork::~NcclWork() {
  if (waited_ || std::uncaught_exceptions() > 0) return;
  try {
    wait();
  } catch (const Error&) {
    // The next operation of the group meets the same broken peer and reports it.
  }
}

void NcclWork::wait() {
  waited_ = true;
  const auto deadline = std::chrono::steady_clock::now() + timeout_;
  while (true) {
    const cudaError_t state = cudaEventQuery(event_.get());
    if (state == cudaSuccess) break;
    if (state != cudaErrorNotReady) check_cuda(state, operation_.c_str());
    comm_->settle(operation_);
    if (std::chrono::steady_clock::now() > deadline) give_up();
    std::this_thread::sleep_for(poll_step);
  }
  kept_.clear();
}

void NcclWork::give_up() const {
  throw Error(
      ErrorKind::communication,
      {operation_ + " did not finish within " + std::to_string(timeout_.count()) + " ms",
       "every rank of the group to call it within that time", "at least one rank that has not",
       "see the messages of the other ranks; if they are only slow, raise parallel.watchdog_seconds or --watchdog"});
}

}  // namespace retain::parallel
