// SPDX-License-Identifier: Apache-2.0
// A group of one rank: every collective is the identity.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "parallel/comm/communicator.h"

namespace retain::parallel {

/// The group `name` that holds only the rank `world_rank`. Point-to-point throws Error(communication): there is no
/// peer. `describe`: where describe_activity() goes (empty: nowhere).
std::unique_ptr<Communicator> make_self_communicator(std::string name, int world_rank,
                                                     std::function<void(std::string_view)> describe = {});

}  // namespace retain::parallel
