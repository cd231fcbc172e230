// SPDX-License-Identifier: Apache-2.0
// Refusing what a node cannot hold, before the kernel's killer does.
#pragma once
#include <cstdint>

#include "parallel/comm/communicator.h"

namespace retain::recipes {

/// Collective over `world`. `planned`: bytes this rank will need beyond what it holds. Throws Error(mesh_invalid), on all
/// ranks of a node, where those of one node need more than the node can still give (ranks on one kernel share its memory).
void require_memory(parallel::Communicator& world, std::int64_t planned);

}  // namespace retain::recipes
