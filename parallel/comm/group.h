// SPDX-License-Identifier: Apache-2.0
// What the operations of one group share; kept alive by those under way.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "parallel/comm/channel.h"
#include "parallel/comm/mpi_handle.h"

namespace retain::parallel {

/// Receives from one member with one tag get its messages in the order in which they were begun.
struct ReceiveTurns {
  std::uint64_t taken = 0;
  std::uint64_t served = 0;
};

struct Group {
  std::string name;
  int rank = 0;
  std::vector<int> world_ranks;
  MpiComm messages;                  ///< point to point, and the making of subgroups
  std::map<std::pair<int, int>, ReceiveTurns> receive_turns;  ///< by member and tag
  MpiComm control;                   ///< the message channel's own; unused with shared memory
  std::unique_ptr<Channel> channel;  ///< collectives

  int size() const { return static_cast<int>(world_ranks.size()); }
};

/// "group 'tensor' (ranks 0, 1, 2, 3)".
std::string to_string(const Group& group);

}  // namespace retain::parallel
