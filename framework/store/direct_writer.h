// SPDX-License-Identifier: Apache-2.0
// Writing large extents past the page cache: the disk's own rate at a small share of a core, and no gigabytes of cache
// filled with what nobody will read soon.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "framework/store/file_ops.h"

namespace retain::framework {

/// Writes to a file that is open for ordinary writing as well. Falls back to ordinary writes where the file system has
/// no direct I/O, for what does not lie on pages, and for small pieces.
class DirectWriter {
 public:
  /// `file` outlives this.
  DirectWriter(FileOperations& operations, File& file);
  ~DirectWriter();
  DirectWriter(const DirectWriter&) = delete;
  DirectWriter& operator=(const DirectWriter&) = delete;

  void write(std::span<const std::byte> bytes, std::uint64_t offset);
  bool direct() const noexcept { return descriptor_ >= 0; }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept;
  };
  FileOperations& operations_;
  File& file_;
  int descriptor_ = -1;
  std::unique_ptr<std::byte, Free> bounce_;  // direct I/O wants page-aligned memory
};

}  // namespace retain::framework
