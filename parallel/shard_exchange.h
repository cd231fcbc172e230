// SPDX-License-Identifier: Apache-2.0
// Moves pieces of sharded arrays between the ranks that hold them and the ranks that write or read the file's blocks.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "parallel/mesh.h"
#include "parallel/shard_geometry.h"
#include "parallel/sharded_store.h"

namespace retain::parallel {

/// A stretch of an array that one rank writes: whole blocks.
struct Chunk {
  std::size_t array = 0;
  Range bytes;       ///< of the global row-major array; begin is a multiple of framework::kBlockBytes
  int writer = 0;    ///< world rank
};

/// Who writes what, the same on every rank: a block of a large array goes to a rank of the pipeline stage that owns it and holds
/// most of the block, in turns where several do (replicas); small arrays (which may share pages of the file) all go to rank 0.
std::vector<Chunk> deal(const std::vector<ShardedArray>& arrays, const MeshShape& shape);

/// Collective over mesh.world(): brings every chunk together on its writer, in bounded memory, and calls
/// `write(chunk, bytes)` there. What `write` throws is kept until all ranks are through, then thrown on every rank.
void gather_chunks(const Mesh& mesh, const std::vector<ShardedArray>& arrays, const std::vector<Chunk>& chunks,
                   const std::function<void(const Chunk&, std::span<const std::byte>)>& write);

/// The same, but each chunk's memory is given away to `keep`.
void keep_chunks(const Mesh& mesh, const std::vector<ShardedArray>& arrays, const std::vector<Chunk>& chunks,
                 const std::function<void(const Chunk&, at::Tensor)>& keep);

/// Reads `out.size()` bytes of an array from byte `begin` on.
using ReadBytes = std::function<void(std::uint64_t begin, std::span<std::byte> out)>;

/// Collective over mesh.tensor(): fills array.local (CPU, contiguous, of array.spec.dtype). Every block is read by a rank that
/// needs it and passed on to the others that do, so that together they read the array once; small arrays, and shares that lie in one
/// piece in the file, each rank reads for itself. Returns the bytes this rank asked `read` for. What `read` throws is kept in
/// `failure` (unless one is there already) and the exchange goes on, so that no rank waits for ever; throw it with agree().
std::int64_t scatter_array(const Mesh& mesh, const ShardedArray& array, const ReadBytes& read, std::exception_ptr& failure);

/// This rank's geometry of an array on its mesh position.
ShardGeometry geometry_of(const ShardedArray& array, int tensor_rank, int data_rank);

}  // namespace retain::parallel
