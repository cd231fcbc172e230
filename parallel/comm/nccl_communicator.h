// SPDX-License-Identifier: Apache-2.0
// The NCCL back end, for CUDA tensors. Compiled from nccl_communicator.cpp with RETAIN_CUDA, else from no_nccl.cpp.
#pragma once
#include <memory>

#include "parallel/comm/communicator.h"
#include "parallel/comm/watchdog_settings.h"

namespace retain::parallel {

/// CUDA devices that this process sees; 0 where the back end is not built in.
int nccl_devices();

/// Collective over `control` (any group, usually the MPI world), which carries the unique id, text and barriers. Rank i
/// of a host takes CUDA device i and makes it current. Throws Error(config_unsupported) where the back end is not built
/// in, Error(mesh_invalid) where a host has more ranks than devices.
///
/// As every Communicator, with these particulars: sums of floating-point tensors are made by exchanging shares and
/// adding them in rank order (as the MPI back end does, with the same bits), not by NCCL's own reduction; messages from
/// one rank to another must be received in the order they were sent, whatever their tags; a call returns when the
/// device has done its work, under the watchdog.
std::shared_ptr<Communicator> open_nccl_world(std::shared_ptr<Communicator> control,
                                              const WatchdogSettings& settings = {});

}  // namespace retain::parallel
