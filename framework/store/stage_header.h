// SPDX-License-Identifier: Apache-2.0
// The first 4 KiB of a stage file (HDF5's user block): one line of JSON that says where the manifest lies and what the
// digest of everything else is. The last 33 bytes are the digest of the bytes before them and a line end.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "framework/store/digest.h"

namespace retain::framework {

struct StageHeader {
  std::uint64_t file_bytes = 0;  ///< length of the whole file
  std::uint64_t manifest_offset = 0;
  std::uint64_t manifest_bytes = 0;
  Digest manifest;  ///< of the manifest's text
  Digest skeleton;  ///< of all bytes outside header and array extents, in order

  /// Exactly kHeaderBytes (hdf5_skeleton.h).
  std::string to_bytes() const;
  /// Throws Error(store_invalid) naming `origin` when `bytes` is no such header or its digest does not match.
  static StageHeader from_bytes(std::span<const std::byte> bytes, const std::string& origin);
};

}  // namespace retain::framework
