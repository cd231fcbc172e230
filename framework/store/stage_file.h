// SPDX-License-Identifier: Apache-2.0
// Reading one stage file without the HDF5 library: header, manifest and blocks are read with plain reads and checked
// against their digests, so a damaged or hostile file can neither crash the reader nor lead it elsewhere.
#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "framework/store/direct_io.h"
#include "framework/store/file_ops.h"
#include "framework/store/hdf5_skeleton.h"
#include "framework/store/manifest.h"
#include "framework/store/stage_header.h"

namespace retain::framework {

/// An open stage file or mid-stage checkpoint. Thread-safe.
class StageFile {
 public:
  static constexpr std::uint64_t kLargeBytes = std::uint64_t{256} << 20;  ///< files from here on are read past the page cache

  /// Reads and checks header and manifest. Throws Error(io) when it cannot be opened, Error(store_invalid) or
  /// Error(store_digest) when it is not intact.
  StageFile(FileOperations& operations, const std::filesystem::path& path);

  const std::filesystem::path& path() const noexcept { return file_.path(); }
  const Manifest& manifest() const noexcept { return manifest_; }
  /// Content id, computed from the manifest.
  const std::string& id() const noexcept { return id_; }
  std::uint64_t file_bytes() const noexcept { return header_.file_bytes; }
  /// Null when there is no such array.
  const ArrayEntry* find(std::string_view path) const;

  /// Bytes [begin, begin + out.size()) of an array held here, every block they touch checked.
  /// Throws Error(store_digest) naming file, array and block.
  void read(const ArrayEntry& array, std::uint64_t begin, std::span<std::byte> out) const;

  /// Checks every byte outside the arrays. Throws Error(store_digest).
  void check_skeleton() const;
  /// Checks every byte of the file. Throws Error(store_digest).
  void check_all() const;
  /// Checks one block. Throws Error(store_digest).
  void check_block(const ArrayEntry& array, std::uint64_t block) const;

  /// Bytes read from disk so far.
  std::uint64_t bytes_read() const noexcept { return bytes_read_; }

 private:
  void read_block(const ArrayEntry& array, std::uint64_t block, std::span<std::byte> whole) const;

  File file_;
  std::optional<DirectReader> direct_;  ///< of a large file: the page cache would hold it for nobody
  StageHeader header_;
  Manifest manifest_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::string id_;
  mutable std::atomic<std::uint64_t> bytes_read_ = 0;
};

}  // namespace retain::framework
