// SPDX-License-Identifier: Apache-2.0
// Writing a stage file by many hands: one author lays it out and finishes it, any number of ranks write blocks straight
// into the datasets' extents.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/store/direct_io.h"
#include "framework/store/file_ops.h"
#include "framework/store/hdf5_skeleton.h"
#include "framework/store/manifest.h"

namespace retain::framework {

/// What every writing rank must know: the file and where each array held in it lies.
struct StageLayout {
  std::string file;                ///< path relative to the store's folder
  std::vector<ArrayEntry> arrays;  ///< only those held here, digests not yet known
  /// JSON text, so that one rank can send it to the others.
  std::string to_text() const;
  static StageLayout from_text(const std::string& text);
};

/// A digest for each block of bytes that begin at a block's first byte.
std::vector<Digest> block_digests(std::span<const std::byte> bytes);

/// Writes blocks of arrays. Several may write one file at once, also from several hosts, as long as no block is written
/// twice; blocks of arrays below kPagedBytes belong to one writer, so that no two share a page.
class ExtentWriter {
 public:
  /// `root` is the store's folder.
  ExtentWriter(FileOperations& operations, const std::filesystem::path& root, StageLayout layout);

  /// Writes whole blocks of layout.arrays[array] from block `first_block` on (the array's last block may be short) and
  /// returns their digests. Throws Error(io) when the system refuses.
  std::vector<Digest> write(std::size_t array, std::uint64_t first_block, std::span<const std::byte> bytes);

  /// The same of blocks that are hashed already.
  void put(std::size_t array, std::uint64_t first_block, std::span<const std::byte> bytes);

  /// Makes what this writer wrote durable and closes the file.
  void finish();
  std::uint64_t bytes_written() const noexcept { return bytes_written_; }

 private:
  /// The array's entry, when `bytes` are whole blocks of it.
  const ArrayEntry& checked(std::size_t array, std::uint64_t first_block, std::size_t bytes) const;
  void put_block(const ArrayEntry& entry, std::uint64_t begin, std::span<const std::byte> block);

  StageLayout layout_;
  File file_;
  std::optional<DirectWriter> direct_;
  std::uint64_t bytes_written_ = 0;
};

/// The author's side. Until finish() the file lies in the store's `temporary` folder and nobody looks at it.
class StageFileWriter {
 public:
  /// Creates `root`/`file` and reserves its space. `manifest` has no digests yet for arrays held here.
  /// Throws Error(io) when the file system lacks the space (before a byte is written) or refuses.
  StageFileWriter(FileOperations& operations, const std::filesystem::path& root, std::string file, Manifest manifest);
  ~StageFileWriter();

  const StageLayout& layout() const noexcept { return layout_; }

  /// The content id that the file will have. `blocks[a]`: the digests of layout().arrays[a].
  std::string id(const std::vector<std::vector<Digest>>& blocks);
  /// Call after all ExtentWriters have finished. Writes structure and
  /// header and makes the file durable, still at its temporary place. Returns the content id.
  std::string finish(const std::vector<std::vector<Digest>>& blocks);

  const Manifest& manifest() const noexcept { return manifest_; }

 private:
  void write_header(const std::string& text);

  FileOperations& operations_;
  std::filesystem::path path_;
  Manifest manifest_;
  StageLayout layout_;
  Hdf5Skeleton skeleton_;
  std::unique_ptr<File> file_;
  bool finished_ = false;
};

}  // namespace retain::framework
