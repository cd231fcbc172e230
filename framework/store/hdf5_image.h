// SPDX-License-Identifier: Apache-2.0
// An HDF5 file that is built in memory: a file driver that keeps what the library writes as sparse pages. The store
// then writes those bytes itself, so that HDF5 never touches the disk, needs no file locks and cannot tear a commit.
#pragma once
#include <hdf5.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

namespace retain::framework {

/// Bytes by address; what was never written reads as zero.
class SparseImage {
 public:
  void write(std::uint64_t offset, std::span<const std::byte> bytes);
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;
  /// One past the last byte of the file.
  std::uint64_t end() const noexcept { return end_; }
  void set_end(std::uint64_t end) noexcept { end_ = end; }

 private:
  static constexpr std::uint64_t kPage = 4096;
  std::map<std::uint64_t, std::array<std::byte, kPage>> pages_;
  std::uint64_t end_ = 0;
};

/// Makes `access` (a file access property list) open its file in `image`, which must outlive the file. The caller holds
/// the library's lock (hdf5_handle.h). Throws Error(internal) when HDF5 refuses.
void use_image(hid_t access, SparseImage& image);

}  // namespace retain::framework
