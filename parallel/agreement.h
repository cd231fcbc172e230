// SPDX-License-Identifier: Apache-2.0
// A failure on one rank becomes the same failure on all, so that nobody waits for a rank that gave up.
#pragma once
#include <functional>
#include <string>

#include "parallel/comm/communicator.h"

namespace retain::parallel {

/// Collective: runs `action` (null: nothing) and waits for the others; when it threw on any rank, every rank throws the first
/// failing rank's Error, with that rank named. Error(communication) is passed on at once, since the others cannot be reached.
void agree(Communicator& group, const std::function<void()>& action);

/// Collective: rank 0's `action` gives text to all ranks, or its Error to all.
std::string from_first(Communicator& group, const std::function<std::string()>& action);

/// Collective: whether any rank says yes.
bool anyone(Communicator& group, bool yes);

}  // namespace retain::parallel
