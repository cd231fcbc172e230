// SPDX-License-Identifier: Apache-2.0
// Reading everything once to know that it is intact.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "framework/store/store.h"

namespace retain::framework {

struct VerifyReport {
  std::vector<std::string> problems;  ///< one message each, naming stage, array and block, or file
  std::size_t stages = 0;
  std::size_t checkpoints = 0;
  std::size_t results = 0;
  std::uint64_t bytes = 0;  ///< of array data read
  bool clean() const { return problems.empty(); }
};

/// Checks refs, the log, every stage file in the store (every bit of it: header, manifest, HDF5 structure, each block
/// of each array, and that links lead to what they promise), mid-stage checkpoints and results. Does not stop at a
/// problem. `progress` (may be empty) is called with each stage id before it is read. Takes no lock.
VerifyReport verify(const Store& store, const std::function<void(const std::string&)>& progress = {});

}  // namespace retain::framework
