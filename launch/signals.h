// SPDX-License-Identifier: Apache-2.0
// SIGTERM and SIGUSR1 ask a run to save and end; a second one ends it at once.
#pragma once
#include <atomic>

namespace retain::launch {

/// Installs the handlers and returns the flag they set; for a command that looks at it. Others end as signals end programs.
const std::atomic<bool>& watch_stop_signals();

}  // namespace retain::launch
