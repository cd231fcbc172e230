// SPDX-License-Identifier: Apache-2.0
// What loading a model read, for people: that every rank read its own slices only, and how fast.
#pragma once
#include <cstdint>
#include <string>

#include "parallel/comm/communicator.h"

namespace retain::recipes {

/// Collective over `world`. `read`: bytes this rank read in `seconds`; `whole`: bytes of the whole model in the dtype
/// it is loaded in. One line, the same on all ranks.
std::string load_summary(parallel::Communicator& world, std::int64_t read, std::int64_t whole, double seconds);

}  // namespace retain::recipes
