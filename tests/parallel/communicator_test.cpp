// SPDX-License-Identifier: Apache-2.0
// The MPI back end against the communicator suite, through shared memory and through messages.
#include <chrono>

#include "parallel/comm/mpi_communicator.h"
#include "parallel/comm/nccl_communicator.h"
#include "tests/parallel/communicator_suite.h"

namespace retain::parallel::testing {
namespace {

template <bool shared_memory>
struct MpiBackend {
  static std::shared_ptr<Communicator> open() {
    // One world for all cases: a case that leaves it out of step shows in the next.
    static const std::shared_ptr<Communicator> world =
        open_world({.timeout = std::chrono::seconds(30), .shared_memory = shared_memory});
    return world;
  }
  static at::Device device() { return at::kCPU; }
};

using MpiBackends = ::testing::Types<MpiBackend<true>, MpiBackend<false>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Mpi, CommunicatorSuite, MpiBackends);

TEST(Nccl, WithoutADeviceItIsRefused) {
  if (nccl_devices() > 0) GTEST_SKIP() << "there is a device";
  EXPECT_THROW(open_nccl_world(MpiBackend<true>::open()), framework::Error);
}

}  // namespace
}  // namespace retain::parallel::testing
