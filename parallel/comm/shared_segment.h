// SPDX-License-Identifier: Apache-2.0
// Anonymous memory mapped by several processes of one node. It has no name in any file system, so nothing is left
// behind however the processes end.
#pragma once
#include <mpi.h>

#include <cstddef>
#include <memory>

namespace retain::parallel {

class SharedSegment {
 public:
  /// Collective over `comm`, whose ranks must share a node: rank 0 creates, the others map. Zero-filled.
  /// Returns nullptr on all ranks when any of them could not (memory limit, separate process namespaces).
  static std::unique_ptr<SharedSegment> create(MPI_Comm comm, std::size_t bytes);
  ~SharedSegment();
  SharedSegment(const SharedSegment&) = delete;
  SharedSegment& operator=(const SharedSegment&) = delete;

  std::byte* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  SharedSegment(std::byte* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
  std::byte* data_;
  std::size_t bytes_;
};

}  // namespace retain::parallel
