// SPDX-License-Identifier: Apache-2.0
// The MPI back end. Groups whose ranks share a node exchange through a shared-memory segment, others by MPI messages;
// both reduce in rank order, so their results are bitwise equal.
#pragma once
#include <memory>

#include "parallel/comm/communicator.h"
#include "parallel/comm/watchdog_settings.h"

namespace retain::parallel {

/// Collective: the group "world" over all ranks of the job. Where MPI is not initialised: a world of one rank.
/// Operations of all groups derived from one world must be called from one thread at a time.
std::shared_ptr<Communicator> open_world(const WatchdogSettings& settings = {});

}  // namespace retain::parallel
