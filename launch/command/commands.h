// SPDX-License-Identifier: Apache-2.0
// One function per subcommand: it adds itself to the command line and, when chosen, leaves the work to do in `action`.
// To add a command: write launch/command/<name>.cpp with add_<name>, declare it here, list it in commands.cpp.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <utility>

#include "launch/session.h"

namespace retain::launch {

/// What a subcommand leaves to do.
struct Action {
  using Work = std::function<int(const Session&)>;
  Action& operator=(Work work) {
    run = std::move(work);
    return *this;
  }

  /// Runs after the command line is understood and the ranks have met. Returns the exit status (0 success).
  Work run;
  /// Where set, called before the ranks meet: the seconds after which a rank that does not arrive ends the run.
  std::function<double(const recipes::Extras&)> watchdog_seconds;
};

void add_tokenize(CLI::App& app, Action& action);
void add_preprocess(CLI::App& app, Action& action);
void add_init_model(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_data(CLI::App& app, Action& action);
void add_forward(CLI::App& app, Action& action);
void add_generate(CLI::App& app, Action& action);
void add_score(CLI::App& app, Action& action);
void add_run(CLI::App& app, Action& action);
void add_plan(CLI::App& app, Action& action);
void add_store(CLI::App& app, Action& action);
void add_import(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_doctor(CLI::App& app, Action& action);

/// Adds every subcommand.
void add_commands(CLI::App& app, Action& action);

}  // namespace retain::launch
