// SPDX-License-Identifier: Apache-2.0
// What the operations of one group share; kept alive by those under way.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "parallel/comm/channel.h"
#include "parallel/comm/mpi_handle.h"

namespace retain::parallel {

struct Group {
  std::string name;
  int rank = 0;
  std::vector<int> world_ranks;
  MpiComm messages;                  ///< point to point, and the making of subgroups
  MpiComm control;                   ///< the message channel's own; unused with shared memory
  std::unique_ptr<Channel> channel;  ///< collectives

  int size() const { return static_cast<int>(world_ranks.size()); }
};

/// "group 'tensor' (ranks 0, 1, 2, 3)".
std::string to_string(const Group& group);

}  // namespace retain::parallel
