// SPDX-License-Identifier: Apache-2.0
// Which ranks share a node.
#include "parallel/comm/node_identity.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string>

#include "parallel/comm/mpi_check.h"

namespace retain::parallel {
namespace {

constexpr std::size_t identity_bytes = 192;
using Identity = std::array<char, identity_bytes>;

/// "net:[4026531840]", or nothing where the system does not say.
std::string link_target(const char* path) {
  std::array<char, 64> target{};
  return ::readlink(path, target.data(), target.size() - 1) > 0 ? target.data() : "";
}

Identity own_identity() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  if (boot.empty()) {
    std::array<char, 64> host{};
    ::gethostname(host.data(), host.size() - 1);
    boot = host.data();
  }
  const std::string text = boot + " " + link_target("/proc/self/ns/pid") + " " + link_target("/proc/self/ns/net");
  Identity identity{};
  std::copy_n(text.begin(), std::min(text.size(), identity_bytes - 1), identity.begin());
  return identity;
}

}  // namespace

std::vector<int> nodes_of(MPI_Comm comm) {
  int size = 0;
  check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  const Identity own = own_identity();
  std::vector<Identity> all(static_cast<std::size_t>(size));
  check_mpi(MPI_Allgather(own.data(), identity_bytes, MPI_CHAR, all.data(), identity_bytes, MPI_CHAR, comm),
            "MPI_Allgather of node identities");
  std::vector<int> nodes;
  for (const Identity& identity : all) {
    nodes.push_back(static_cast<int>(std::find(all.begin(), all.end(), identity) - all.begin()));
  }
  return nodes;
}

}  // namespace retain::parallel
