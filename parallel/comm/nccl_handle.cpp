// SPDX-License-Identifier: Apache-2.0
// Owner of an NCCL communicator.
#include "parallel/comm/nccl_handle.h"

#include <exception>
#include <thread>
#include <utility>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

using framework::Error;
using framework::ErrorKind;

constexpr auto poll_step = std::chrono::microseconds(100);

}  // namespace

void check_nccl(ncclResult_t code, const char* call) {
  if (code == ncclSuccess || code == ncclInProgress) return;
  throw Error(ErrorKind::communication, {std::string(call) + " failed", "ncclSuccess", ncclGetErrorString(code),
                                         "NCCL_DEBUG=WARN makes NCCL say more; look for a rank that ended before"});
}

void check_cuda(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  throw Error(ErrorKind::communication, {std::string(call) + " failed", "cudaSuccess", cudaGetErrorString(code), {}});
}

NcclHandle::NcclHandle(const ncclUniqueId& id, int rank, int size, std::chrono::milliseconds timeout, std::string where)
    : timeout_(timeout), where_(std::move(where)) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  check_nccl(ncclCommInitRankConfig(&handle_, size, id, rank, &config), "ncclCommInitRankConfig");
  try {
    settle("the making of an NCCL communicator");
  } catch (...) {
    ncclCommAbort(handle_);
    throw;
  }
}

NcclHandle::~NcclHandle() {
  if (handle_ == nullptr) return;
  if (std::uncaught_exceptions() > 0) {  // the peers may not follow
    ncclCommAbort(handle_);
    return;
  }
  ncclCommFinalize(handle_);
  try {
    settle("the end of an NCCL communicator");
    ncclCommDestroy(handle_);
  } catch (const Error&) {
    ncclCommAbort(handle_);
  }
}

void NcclHandle::settle(const std::string& operation) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout_;
  ncclResult_t state = ncclInProgress;
  while (true) {
    check_nccl(ncclCommGetAsyncError(handle_, &state), "ncclCommGetAsyncError");
    if (state != ncclInProgress) break;
    if (std::chrono::steady_clock::now() > deadline) {
      throw Error(ErrorKind::communication,
                  {operation + " in " + where_ + " did not start within " + std::to_string(timeout_.count()) + " ms",
                   "every rank of the group to call it within that time",
                   "no answer from at least one rank",
                   {}});
    }
    std::this_thread::sleep_for(poll_step);
  }
  check_nccl(state, operation.c_str());
}

}  // namespace retain::parallel
