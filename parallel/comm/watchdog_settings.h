// SPDX-License-Identifier: Apache-2.0
// How long a rank waits for its peers before it gives up and says who is missing.
#pragma once
#include <chrono>

namespace retain::parallel {

struct WatchdogSettings {
  /// A collective or message that makes no progress for this long is an error.
  std::chrono::milliseconds timeout = std::chrono::minutes(10);
  /// Ranks of one node exchange through shared memory; off: through MPI messages only (same results bit for bit).
  bool shared_memory = true;
};

}  // namespace retain::parallel
