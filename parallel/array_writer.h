// SPDX-License-Identifier: Apache-2.0
// The ranks' side of putting arrays into one file: blocks come together on the rank that writes them, are hashed there,
// and go to the disk at once or, from a copy, in the background.
#pragma once
#include <ATen/core/Tensor.h>

#include <atomic>
#include <exception>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "framework/store/stage_writer.h"
#include "framework/store/store.h"
#include "parallel/shard_exchange.h"

namespace retain::parallel {

/// Block digests of whole arrays by their path in the file.
using ArrayDigests = std::map<std::string, std::vector<framework::Digest>>;

/// The digests of a layout's arrays in its order, as StageCommit::publish wants them.
std::vector<std::vector<framework::Digest>> in_order(const framework::StageLayout& layout, const ArrayDigests& digests);

/// Collective over mesh.world(): digests of every array's first block, and of all blocks of the arrays in `paths`.
ArrayDigests first_block_digests(const Mesh& mesh, const std::vector<ShardedArray>& arrays);
ArrayDigests digests_of(const Mesh& mesh, const std::vector<ShardedArray>& arrays, const std::set<std::string>& paths);

/// Collective over mesh.world(): writes the arrays that `layout` holds, in bounded memory, and makes them durable. A
/// failure on one rank is thrown on all. Adds what this rank wrote to `bytes_written`.
ArrayDigests write_arrays(const framework::Store& store, const Mesh& mesh, const framework::StageLayout& layout,
                          const std::vector<ShardedArray>& arrays, std::int64_t& bytes_written);

/// This rank's blocks of some arrays as they are now, and the digests of all ranks' blocks. Later changes of the arrays
/// do not reach it. Over all ranks it is as large as the arrays.
class ArraySnapshot {
 public:
  /// Collective over mesh.world().
  ArraySnapshot(const Mesh& mesh, const std::vector<ShardedArray>& arrays);

  const ArrayDigests& digests() const noexcept { return digests_; }

 private:
  friend class BackgroundWrite;
  struct Piece {
    std::string path;
    std::uint64_t first_block = 0;
    at::Tensor bytes;  ///< on the CPU
  };
  std::vector<Piece> pieces_;
  ArrayDigests digests_;
};

/// One thread a rank that writes a snapshot and makes it durable. It calls neither MPI nor HDF5, so that training may
/// go on beside it.
class BackgroundWrite {
 public:
  /// Collective over mesh.world(): opens the file and starts. Arrays of the snapshot that `layout` does not hold are
  /// dropped. `mesh` outlives this.
  BackgroundWrite(const framework::Store& store, const Mesh& mesh, const framework::StageLayout& layout,
                  ArraySnapshot snapshot);
  /// Drops what is not yet written.
  ~BackgroundWrite();

  /// Whether this rank's thread is still at work; false as well when it has failed.
  bool busy() const noexcept { return busy_; }
  /// Collective: waits for the threads of all ranks. What failed on one is thrown on all.
  void wait();
  std::int64_t bytes_written() const noexcept { return bytes_written_; }

 private:
  void write(const std::stop_token& stop, const std::map<std::string, std::size_t>& place,
             std::vector<ArraySnapshot::Piece> pieces);

  const Mesh& mesh_;
  std::unique_ptr<framework::ExtentWriter> writer_;
  std::atomic<bool> busy_ = true;
  std::exception_ptr failure_;  // read after the thread has ended
  std::int64_t bytes_written_ = 0;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace retain::parallel
