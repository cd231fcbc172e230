// SPDX-License-Identifier: Apache-2.0
// What every fuzz target does: runs a parser and lets only our own errors pass.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <unistd.h>

#include "framework/base/error.h"

namespace retain::fuzz {

/// Any exception but ours is a crash.
template <typename Parse>
int expect_error_or_success(const Parse& parse) {
  try {
    parse();
  } catch (const framework::Error&) {
  }
  return 0;
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A file in memory-backed storage of this process, rewritten for every input.
class ScratchFile {
 public:
  explicit ScratchFile(const char* name) : path_(folder() / name) {}
  const std::filesystem::path& write(const std::uint8_t* data, std::size_t size) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    return path_;
  }

 private:
  static std::filesystem::path folder() {
    const std::filesystem::path made = std::filesystem::temp_directory_path() / ("retain-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(made);
    return made;
  }
  std::filesystem::path path_;
};

}  // namespace retain::fuzz
