// SPDX-License-Identifier: Apache-2.0
// The NCCL back end against the communicator suite; skipped where the host has fewer devices than ranks.
#include <chrono>

#include "parallel/comm/mpi_communicator.h"
#include "parallel/comm/nccl_communicator.h"
#include "tests/parallel/communicator_suite.h"

namespace retain::parallel::testing {
namespace {

struct NcclBackend {
  static std::shared_ptr<Communicator> open() {
    static const std::shared_ptr<Communicator> world = make();
    return world;
  }
  static at::Device device() { return at::kCUDA; }

 private:
  static std::shared_ptr<Communicator> make() {
    const std::shared_ptr<Communicator> control = open_world({.timeout = std::chrono::seconds(60)});
    if (nccl_devices() < control->size()) return nullptr;
    return open_nccl_world(control, {.timeout = std::chrono::seconds(60)});
  }
};

using NcclBackends = ::testing::Types<NcclBackend>;
INSTANTIATE_TYPED_TEST_SUITE_P(Nccl, CommunicatorSuite, NcclBackends);

}  // namespace
}  // namespace retain::parallel::testing
