// SPDX-License-Identifier: Apache-2.0
// The whole `retain` command as a function, for programs that add methods or metrics of their own.
#pragma once
#include "recipes/settings/extras.h"

namespace retain::launch {

/// Understands the command line, lets the ranks meet, runs one subcommand, ends all ranks together. Experiment files may name
/// what `extras` holds. Exit statuses: 0 done, 1 failed or refused, 2 a command line that cannot be understood, 3 stopped and
/// saved. Call it once, from main().
int run_command_line(int argc, char** argv, const recipes::Extras& extras = {});

}  // namespace retain::launch
