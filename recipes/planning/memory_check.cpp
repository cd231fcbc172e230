// SPDX-License-Identifier: Apache-2.0
#include "recipes/planning/memory_check.h"

#include <fstream>
#include <sstream>
#include <string>

#include "framework/base/available_memory.h"
#include "framework/base/error.h"

namespace retain::recipes {
namespace {

/// The running kernel's own name, the same in all of its containers.
std::string node_name() {
  std::string name = "unknown";
  std::ifstream("/proc/sys/kernel/random/boot_id") >> name;
  return name;
}

std::string mebibytes(std::int64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

void require_memory(parallel::Communicator& world, std::int64_t planned) {
  const std::string here = node_name();
  std::int64_t together = 0;
  int ranks = 0;
  for (const std::string& text : world.gather_text(here + " " + std::to_string(planned))) {
    std::istringstream words(text);
    std::string node;
    std::int64_t bytes = 0;
    words >> node >> bytes;
    if (node != here) continue;
    together += bytes;
    ++ranks;
  }
  const std::int64_t available = framework::available_bytes();
  if (together <= available) return;
  throw framework::Error(framework::ErrorKind::mesh_invalid,
                         {"the " + std::to_string(ranks) + " ranks on this node would need more memory than it has free",
                          mebibytes(together) + " (" + mebibytes(planned) + " on this rank)", mebibytes(available),
                          "see `retain plan`: more tensor or pipeline ranks on other nodes, train.recompute, train.zero, a smaller "
                          "train.micro_batch or feature_cache.memory"});
}

}  // namespace retain::recipes
