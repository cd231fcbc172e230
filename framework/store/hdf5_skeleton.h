// SPDX-License-Identifier: Apache-2.0
// The HDF5 structure of a stage file: groups, datasets of global shape with their space allocated, external links to
// the files that hold the rest. The numbers themselves are written by others, straight into the datasets' extents.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/store/manifest.h"

namespace retain::framework {

/// Bytes before HDF5's own signature (an HDF5 user block) that hold the store's header.
inline constexpr std::uint64_t kHeaderBytes = 4096;
/// Datasets of at least this size start on a page, so that ranks on different hosts never write to one page.
inline constexpr std::uint64_t kPagedBytes = 65536;

/// Built once: construct (places are known), finish (digests and manifest go in), then read the bytes to write.
/// Throws Error(internal) when HDF5 fails; takes the HDF5 lock itself.
class Hdf5Skeleton {
 public:
  /// Datasets for entries that are here, links to "<holder>.h5" for the others; digests are not looked at.
  explicit Hdf5Skeleton(const std::vector<ArrayEntry>& arrays);
  ~Hdf5Skeleton();
  Hdf5Skeleton(const Hdf5Skeleton&) = delete;
  Hdf5Skeleton& operator=(const Hdf5Skeleton&) = delete;

  /// File offset of each array's bytes; 0 for linked and for empty ones.
  const std::vector<std::uint64_t>& offsets() const;

  /// Adds the manifest as the text dataset "/manifest", an "xxh3_128" attribute on every dataset here, and closes.
  /// `arrays` are those of the constructor, now with digests.
  void finish(const std::vector<ArrayEntry>& arrays, const std::string& manifest);

  /// Place of the manifest's text, after finish().
  std::uint64_t manifest_offset() const;
  /// Length of the whole file.
  std::uint64_t file_bytes() const;
  /// Bytes that are not in any array's extent.
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// [begin, end) of all bytes of a file that are neither header nor in an array's extent, in order.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};
std::vector<ByteRange> skeleton_ranges(const std::vector<ArrayEntry>& arrays, std::uint64_t file_bytes);

}  // namespace retain::framework
