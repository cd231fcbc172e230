// SPDX-License-Identifier: Apache-2.0
// The `retain` command: understands the command line, lets the ranks meet, runs one subcommand, ends all ranks together.
#include <iostream>

#include "framework/base/error.h"
#include "framework/base/memory.h"
#include "launch/command/commands.h"
#include "launch/signals.h"
#include "parallel/comm/mpi_session.h"

namespace {

using retain::launch::Action;
using retain::launch::Session;

/// Exit statuses: 0 done, 1 failed or refused, 2 a command line that cannot be understood.
int run(retain::parallel::MpiSession& mpi, const Action& action, bool quiet, double watchdog_seconds) {
  try {
    retain::parallel::WatchdogSettings watchdog;
    if (watchdog_seconds <= 0 && action.watchdog_seconds) watchdog_seconds = action.watchdog_seconds();
    if (watchdog_seconds > 0)
      watchdog.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(1000 * watchdog_seconds));
    const Session session(mpi.open_world(watchdog), quiet, retain::launch::watch_stop_signals());
    return action.run(session);
  } catch (const std::exception& failure) {
    mpi.abort_all(failure.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  retain::framework::keep_freed_pages();
  CLI::App app("Retain teaches large multimodal models new skills without erasing the old ones.", "retain");
  app.require_subcommand(1);
  app.set_version_flag("--version", RETAIN_VERSION);
  bool quiet = false;
  double watchdog_seconds = 0;
  app.add_flag("-q,--quiet", quiet, "Warnings and errors only");
  app.add_option("--watchdog", watchdog_seconds, "Seconds after which a rank that does not arrive ends the run (default: the experiment file's, else 600)");
  Action action;
  retain::launch::add_commands(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error, std::cout, std::cerr);
    return status == 0 ? 0 : 2;
  }
  try {
    retain::parallel::MpiSession mpi(&argc, &argv);
    return run(mpi, action, quiet, watchdog_seconds);
  } catch (const std::exception& failure) {
    std::cerr << "retain: " << failure.what() << '\n';
    return 1;
  }
}
