// SPDX-License-Identifier: Apache-2.0
// Reading and writing large extents past the page cache: the disk's own rate at a small share of a core, and no gigabytes of
// cache filled with what nobody will read soon.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "framework/store/file_ops.h"

namespace retain::framework {

/// Memory of one transfer: direct I/O wants it to begin on a page.
class BounceBuffer {
 public:
  static constexpr std::size_t kPage = 4096;
  static constexpr std::size_t kBytes = std::size_t{4} << 20;

  /// Null where there is no memory.
  std::byte* data();

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept;
  };
  std::unique_ptr<std::byte, Free> memory_;
};

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
  /// Closes now and reports what close(2) reports; later writes are ordinary ones.
  void close();
  bool direct() const noexcept { return descriptor_ >= 0; }

 private:
  FileOperations& operations_;
  File& file_;
  int descriptor_ = -1;
  BounceBuffer bounce_;
};

/// Reads from a file that is open for ordinary reading as well, with the same exceptions. Thread-safe: every thread has a bounce
/// buffer of its own.
class DirectReader {
 public:
  /// `file` outlives this.
  DirectReader(FileOperations& operations, const File& file);
  ~DirectReader();
  DirectReader(const DirectReader&) = delete;
  DirectReader& operator=(const DirectReader&) = delete;

  /// Fills `bytes`. Throws Error(store_invalid) when the file ends before that.
  void read(std::span<std::byte> bytes, std::uint64_t offset) const;

 private:
  FileOperations& operations_;
  const File& file_;
  int descriptor_ = -1;
};

}  // namespace retain::framework
