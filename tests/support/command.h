// SPDX-License-Identifier: Apache-2.0
// Runs the built `retain` command as a user would, with text on standard input.
#pragma once
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/scratch.h"

namespace retain::tests {

struct CommandResult {
  int status = -1;  ///< exit status; 128 and the signal's number when one ended it
  std::string out;
  std::string err;
};

inline std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

/// `arguments` go through the shell.
inline CommandResult run_retain(const std::string& arguments, const std::string& input = "") {
  const Scratch scratch;
  std::ofstream(scratch / "in", std::ios::binary) << input;
  const std::string command = std::string(RETAIN_COMMAND) + " " + arguments + " < " + (scratch / "in").string() +
                              " > " + (scratch / "out").string() + " 2> " + (scratch / "err").string();
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_of(scratch / "out"),
          text_of(scratch / "err")};
}

}  // namespace retain::tests
