// SPDX-License-Identifier: Apache-2.0
// Which ranks share a node, that is, memory.
#pragma once
#include <mpi.h>

#include <vector>

namespace retain::parallel {

/// Collective over `comm`. For every rank of it the lowest rank of the same node. Ranks share a node when they run
/// under one kernel, in one process namespace (they can map each other's memory) and one network namespace (a container
/// of its own counts as a node). MPI_Comm_split_type answers by host name, which containers may share.
std::vector<int> nodes_of(MPI_Comm comm);

}  // namespace retain::parallel
