// SPDX-License-Identifier: Apache-2.0
// How a session opens its world: with the board it made at the start. Inside parallel/comm only.
#pragma once
#include <memory>

#include "parallel/comm/communicator.h"
#include "parallel/comm/node_board.h"
#include "parallel/comm/watchdog_settings.h"

namespace retain::parallel {

/// Collective over MPI_COMM_WORLD; MPI must be initialised.
std::shared_ptr<Communicator> open_world(const WatchdogSettings& settings, std::shared_ptr<NodeBoard> board);

}  // namespace retain::parallel
