// SPDX-License-Identifier: Apache-2.0
// In place of nccl_communicator.cpp in a build without CUDA.
#include "framework/base/error.h"
#include "parallel/comm/nccl_communicator.h"

namespace retain::parallel {

int nccl_devices() {
  return 0;
}

std::shared_ptr<Communicator> open_nccl_world(std::shared_ptr<Communicator>, const WatchdogSettings&) {
  throw framework::Error(framework::ErrorKind::config_unsupported,
                         {"this build of Retain has no NCCL back end", "a build with RETAIN_CUDA=ON", "RETAIN_CUDA=OFF",
                          "build with the preset `cuda`, or train on the CPU"});
}

}  // namespace retain::parallel
