// SPDX-License-Identifier: Apache-2.0
// A folder for one test that all its ranks see.
#pragma once
#include <optional>

#include "parallel/comm/communicator.h"
#include "tests/support/scratch.h"

namespace retain::tests {

struct SharedScratch {
  /// Collective over `world`, whose rank 0 makes the folder and removes it.
  explicit SharedScratch(parallel::Communicator& world) {
    if (world.rank() == 0) scratch.emplace();
    path = world.broadcast_text(scratch ? scratch->path().string() : "", 0);
  }
  std::optional<Scratch> scratch;
  std::filesystem::path path;
};

}  // namespace retain::tests
