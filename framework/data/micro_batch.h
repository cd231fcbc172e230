// SPDX-License-Identifier: Apache-2.0
// Deals one global batch out to data ranks and cuts each share into micro-batches of even token count.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace retain::framework {

/// Samples that one forward pass packs together.
struct MicroBatch {
  std::vector<std::int64_t> slots;  ///< positions in the global batch, ascending
  std::int64_t tokens = 0;
};

struct MicroBatchLimits {
  std::int64_t tokens = 0;    ///< most tokens of a micro-batch; 0: no limit. A longer sample gets one of its own.
  std::int64_t samples = 0;   ///< most samples of a micro-batch; 0: no limit
  std::int64_t at_least = 1;  ///< micro-batches per rank wanted, where there are enough samples (a pipeline's depth)
};

/// For each data rank its micro-batches. Every slot occurs exactly once. All ranks get the same number of micro-batches
/// unless there are too few samples for that, when the last ranks get one less. Depends only on the arguments, so every
/// rank computes the same answer. `tokens[i]`: length of slot i. Throws Error(internal) on a non-positive rank count.
std::vector<std::vector<MicroBatch>> assign_micro_batches(std::span<const std::int64_t> tokens, std::int64_t data_ranks,
                                                          const MicroBatchLimits& limits);

}  // namespace retain::framework
