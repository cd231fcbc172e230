// SPDX-License-Identifier: Apache-2.0
#include "launch/signals.h"

#include <csignal>
#include <cstdlib>

namespace retain::launch {
namespace {

/// Signal handlers have no argument to carry state; this flag is theirs alone.
std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a handler may only touch lock-free atomics");

void on_signal(int signal) {
  if (stop_requested.exchange(true)) std::_Exit(128 + signal);
}

}  // namespace

const std::atomic<bool>& watch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
  return stop_requested;
}

}  // namespace retain::launch
