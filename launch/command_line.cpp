// SPDX-License-Identifier: Apache-2.0
#include "launch/command_line.h"

#include <iostream>

#include "framework/base/error.h"
#include "framework/base/memory.h"
#include "launch/command/commands.h"
#include "parallel/comm/mpi_session.h"
#include "parallel/tensor/gemm.h"

namespace retain::launch {

namespace {

int run(parallel::MpiSession& mpi, const Action& action, bool quiet, double watchdog_seconds, const recipes::Extras& extras) {
  try {
    parallel::WatchdogSettings watchdog;
    if (watchdog_seconds <= 0 && action.watchdog_seconds) watchdog_seconds = action.watchdog_seconds(extras);
    if (watchdog_seconds > 0)
      watchdog.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(1000 * watchdog_seconds));
    const Session session(mpi.open_world(watchdog), quiet, extras);
    return action.run(session);
  } catch (const std::exception& failure) {
    mpi.abort_all(failure.what());
  }
}

}  // namespace

int run_command_line(int argc, char** argv, const recipes::Extras& extras) {
  framework::keep_freed_pages();
  parallel::limit_kept_products();
  CLI::App app("Retain teaches large multimodal models new skills without erasing the old ones.", "retain");
  app.require_subcommand(1);
  app.set_version_flag("--version", RETAIN_VERSION);
  bool quiet = false;
  double watchdog_seconds = 0;
  app.add_flag("-q,--quiet", quiet, "Warnings and errors only");
  app.add_option(
      "--watchdog", watchdog_seconds,
      "Seconds after which a rank that does not arrive ends the run (default: the experiment file's, else 600)");
  Action action;
  add_commands(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error, std::cout, std::cerr);
    return status == 0 ? 0 : 2;
  }
  try {
    parallel::MpiSession mpi(&argc, &argv);
    return run(mpi, action, quiet, watchdog_seconds, extras);
  } catch (const std::exception& failure) {
    std::cerr << "retain: " << failure.what() << '\n';
    return 1;
  }
}

}  // namespace retain::launch
