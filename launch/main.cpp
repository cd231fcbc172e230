// SPDX-License-Identifier: Apache-2.0
// The `retain` command.
#include "launch/command_line.h"

int main(int argc, char** argv) { return retain::launch::run_command_line(argc, argv); }
