// SPDX-License-Identifier: Apache-2.0
// A disk that does not give back some files' bytes.
#pragma once
#include <set>
#include <string>

#include "framework/base/error.h"
#include "framework/store/file_ops.h"

namespace retain::tests {

/// Passes every call on to the system, but for reading what it is told is bad.
struct BadSectors : framework::FileOperations {
  std::set<std::string> unreadable;  ///< names of files
  std::uint64_t from = 0;            ///< reads that touch no byte from here on succeed
  bool opens = true;                 ///< whether such a file can be opened

  int open(const Path& path, int flags, mode_t mode) override {
    if (!opens) refuse("open", path);
    return FileOperations::open(path, flags, mode);
  }
  std::size_t read_at(int descriptor, std::span<std::byte> bytes, std::uint64_t offset, const Path& path) override {
    if (offset + bytes.size() > from) refuse("read", path);
    return FileOperations::read_at(descriptor, bytes, offset, path);
  }
  std::size_t read_direct_at(int descriptor, std::span<std::byte> bytes, std::uint64_t offset, const Path& path) override {
    if (offset + bytes.size() > from) refuse("read", path);
    return FileOperations::read_direct_at(descriptor, bytes, offset, path);
  }

 private:
  void refuse(const std::string& action, const Path& path) const {
    if (!unreadable.contains(path.filename().string())) return;
    throw framework::Error(framework::ErrorKind::io, {"cannot " + action + " " + path.string(), {}, "Input/output error (injected)", {}});
  }
};

}  // namespace retain::tests
