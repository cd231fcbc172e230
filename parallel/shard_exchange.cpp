// SPDX-License-Identifier: Apache-2.0
#include "parallel/shard_exchange.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <utility>

#include "framework/store/hdf5_skeleton.h"
#include "parallel/agreement.h"

namespace retain::parallel {
namespace {

constexpr auto kBlock = static_cast<std::int64_t>(framework::kBlockBytes);
constexpr std::int64_t kChunkBytes = 4 * kBlock;
constexpr std::size_t kSendsInFlight = 8;
constexpr int kTag = 7101;  // pieces between two ranks follow the order of the chunks, so one tag is enough

int world_rank(const MeshShape& shape, int data, int pipeline, int tensor) {
  return (data * shape.pipeline + pipeline) * shape.tensor + tensor;
}

/// Flat bytes of a contiguous tensor; shares its memory.
at::Tensor bytes_of(const at::Tensor& tensor) { return tensor.detach().reshape({-1}).view(at::kByte); }

at::Tensor byte_buffer(std::int64_t bytes, const at::Device& device) {
  return at::empty({bytes}, at::TensorOptions().dtype(at::kByte).device(device));
}

/// Shares the memory of `bytes`.
at::Tensor stretch_of(const at::Tensor& bytes, Range elements, std::int64_t element) {
  return bytes.narrow(0, elements.begin * element, elements.size() * element);
}

/// Started sends with the buffers they read from.
class SendQueue {
 public:
  void add(std::unique_ptr<Work> work, at::Tensor buffer) {
    sends_.emplace_back(std::move(work), std::move(buffer));
    while (sends_.size() > kSendsInFlight) pop();
  }
  void drain() {
    while (!sends_.empty()) pop();
  }

 private:
  void pop() {
    sends_.front().first->wait();
    sends_.pop_front();
  }
  std::deque<std::pair<std::unique_ptr<Work>, at::Tensor>> sends_;
};

Range elements_of(const Chunk& chunk, std::int64_t element) { return {chunk.bytes.begin / element, chunk.bytes.end / element}; }

/// A rank that has part of an array.
struct Holder {
  int rank = 0;  // of the world; of the tensor group where only that takes part
  ShardGeometry part;
};

/// In the order of turns: neighbours are of different replicas.
std::vector<Holder> holders_of(const ShardedArray& array, const MeshShape& shape) {
  std::vector<Holder> holders;
  for (int tensor = 0; tensor < shape.tensor; ++tensor)
    for (int data = 0; data < shape.data; ++data)
      holders.push_back({world_rank(shape, data, array.spec.pipeline_stages.front(), tensor), geometry_of(array, tensor, data)});
  return holders;
}

/// Those that hold most of a block, or nearly: whatever another writes must be sent to it.
std::vector<int> best_of(const std::vector<Holder>& holders, Range elements) {
  std::vector<std::int64_t> held;
  for (const Holder& holder : holders) held.push_back(holder.part.local_range(elements).size());
  const std::int64_t most = *std::max_element(held.begin(), held.end());
  std::vector<int> best;
  for (std::size_t i = 0; i < held.size(); ++i)
    if (4 * held[i] >= 3 * most) best.push_back(holders[i].rank);
  return best;
}

/// Adds an array's chunks: blocks that lie together and go to one rank.
void deal_blocks(const ShardedArray& array, std::size_t number, const std::vector<Holder>& holders, std::size_t& turn,
                 std::vector<Chunk>& chunks) {
  const std::int64_t bytes = array.spec.bytes(), element = framework::size_of(array.spec.dtype);
  if (static_cast<std::uint64_t>(bytes) < framework::kPagedBytes) {
    if (bytes > 0) chunks.push_back({number, {0, bytes}, 0});
    return;
  }
  for (std::int64_t begin = 0; begin < bytes; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, bytes);
    const std::vector<int> best = best_of(holders, {begin / element, end / element});
    Chunk* last = begin > 0 ? &chunks.back() : nullptr;
    if (last && end - last->bytes.begin <= kChunkBytes && std::find(best.begin(), best.end(), last->writer) != best.end())
      last->bytes.end = end;
    else
      chunks.push_back({number, {begin, end}, best[turn++ % best.size()]});
  }
}

/// Who contributes to a chunk: the writer's own replica where replicas hold the same, each element once (parts that lie
/// wholly within earlier ones are left out).
std::vector<Holder> sources_of(const ShardedArray& array, const Chunk& chunk, const MeshShape& shape) {
  const Range elements = elements_of(chunk, framework::size_of(array.spec.dtype));
  const MeshPosition writer = position_of(shape, chunk.writer);
  const int owner = array.spec.pipeline_stages.front();
  std::vector<Holder> sources;
  std::int64_t covered = 0;
  for (int tensor = 0; tensor < shape.tensor; ++tensor) {
    if (array.spec.cut_dimension < 0) {
      if (tensor != (writer.pipeline == owner ? writer.tensor : 0)) continue;
    } else {
      const std::int64_t end = array.spec.cuts.at(static_cast<std::size_t>(tensor)).end;
      if (end <= covered) continue;
      covered = end;
    }
    for (int data = 0; data < shape.data; ++data) {
      if (!array.data_share && data != writer.data) continue;
      ShardGeometry part = geometry_of(array, tensor, data);
      if (part.local_range(elements).size() > 0) sources.push_back({world_rank(shape, data, owner, tensor), std::move(part)});
    }
  }
  return sources;
}

/// Copies between a chunk and what a part holds of its elements, packed.
void copy_runs(const ShardGeometry& part, Range elements, std::int64_t element, std::byte* chunk, std::byte* packed,
               bool into_chunk) {
  const std::int64_t first = part.local_range(elements).begin;
  part.for_each_run(elements, [&](std::int64_t local, std::int64_t global, std::int64_t count) {
    std::byte* inside = chunk + (global - elements.begin) * element;
    std::byte* outside = packed + (local - first) * element;
    std::memcpy(into_chunk ? inside : outside, into_chunk ? outside : inside, static_cast<std::size_t>(count * element));
  });
}

std::byte* data_of(const at::Tensor& bytes) { return static_cast<std::byte*>(bytes.data_ptr()); }

/// The same answer on every tensor rank: small arrays and shares of a replica, where each one's part lies in one piece in the file.
bool each_reads_alone(const Mesh& mesh, const ShardedArray& array) {
  const bool small = static_cast<std::uint64_t>(array.spec.bytes()) < framework::kPagedBytes;
  if (mesh.shape().tensor > 1 && !small && !array.data_share) return false;
  for (int tensor = 0; tensor < mesh.shape().tensor; ++tensor) {
    const ShardGeometry part = geometry_of(array, tensor, mesh.position().data);
    if (part.global_hull().size() != part.elements()) return false;
  }
  return true;
}

at::Device device_of(const std::vector<ShardedArray>& arrays) {
  for (const ShardedArray& array : arrays)
    if (array.local.defined()) return array.local.device();
  return at::kCPU;
}

/// The chunk's bytes where they already lie together in this rank's part; undefined elsewhere.
at::Tensor in_place(const Mesh& mesh, const ShardedArray& array, const at::Tensor& local, const Chunk& chunk,
                    const std::vector<Holder>& sources) {
  const std::int64_t element = framework::size_of(array.spec.dtype);
  if (sources.size() != 1 || sources[0].rank != mesh.world().rank() || !local.is_cpu()) return {};
  const Range held = sources[0].part.local_range(elements_of(chunk, element));
  return held.size() * element == chunk.bytes.size() ? stretch_of(bytes_of(local), held, element) : at::Tensor();
}

/// The writer's side of one chunk, in memory of its own.
at::Tensor collect(const Mesh& mesh, const ShardedArray& array, const at::Tensor& local, const Chunk& chunk,
                   const std::vector<Holder>& sources, const at::Device& device) {
  const std::int64_t element = framework::size_of(array.spec.dtype);
  const Range elements = elements_of(chunk, element);
  at::Tensor whole = byte_buffer(chunk.bytes.size(), at::kCPU);
  for (const Holder& source : sources) {
    const Range held = source.part.local_range(elements);
    at::Tensor packed;
    if (source.rank == mesh.world().rank()) {
      packed = stretch_of(bytes_of(local), held, element);
    } else {
      packed = byte_buffer(held.size() * element, device);
      mesh.world().receive_async(packed, source.rank, kTag)->wait();
    }
    packed = packed.to(at::kCPU);
    copy_runs(source.part, elements, element, data_of(whole), data_of(packed), true);
  }
  return whole;
}

enum class Memory { shared, own };  ///< may a chunk's bytes be those of the rank's part?

/// Collective: `keep` gets the chunks of this rank, in order.
void collect_chunks(const Mesh& mesh, const std::vector<ShardedArray>& arrays, const std::vector<Chunk>& chunks, Memory memory,
                    const std::function<void(const Chunk&, at::Tensor)>& keep) {
  const int me = mesh.world().rank();
  const at::Device device = device_of(arrays);
  SendQueue sends;
  std::exception_ptr failure;
  at::Tensor local;
  for (const Chunk& chunk : chunks) {
    const ShardedArray& array = arrays[chunk.array];
    if (chunk.bytes.begin == 0) local = array.fetch ? array.fetch() : array.local;
    const std::int64_t element = framework::size_of(array.spec.dtype);
    const std::vector<Holder> sources = sources_of(array, chunk, mesh.shape());
    if (chunk.writer == me) {
      at::Tensor whole = memory == Memory::shared ? in_place(mesh, array, local, chunk, sources) : at::Tensor();
      if (!whole.defined()) whole = collect(mesh, array, local, chunk, sources, device);
      try {
        if (!failure) keep(chunk, std::move(whole));
      } catch (const std::exception&) {
        failure = std::current_exception();
      }
      continue;
    }
    for (const Holder& source : sources) {
      if (source.rank != me) continue;
      at::Tensor part = stretch_of(bytes_of(local), source.part.local_range(elements_of(chunk, element)), element);
      sends.add(mesh.world().send_async(part, chunk.writer, kTag), part);
    }
  }
  sends.drain();
  agree(mesh.world(), [&] {
    if (failure) std::rethrow_exception(failure);
  });
}

}  // namespace

ShardGeometry geometry_of(const ShardedArray& array, int tensor_rank, int data_rank) {
  const ShardGeometry slice(array.spec, tensor_rank);
  if (!array.data_share) return slice;
  return ShardGeometry(array.spec, tensor_rank, array.data_share(slice.slice_elements(), data_rank));
}

std::vector<Chunk> deal(const std::vector<ShardedArray>& arrays, const MeshShape& shape) {
  std::vector<Chunk> chunks;
  std::size_t turn = 0;
  for (std::size_t a = 0; a < arrays.size(); ++a) deal_blocks(arrays[a], a, holders_of(arrays[a], shape), turn, chunks);
  return chunks;
}

void gather_chunks(const Mesh& mesh, const std::vector<ShardedArray>& arrays, const std::vector<Chunk>& chunks,
                   const std::function<void(const Chunk&, std::span<const std::byte>)>& write) {
  collect_chunks(mesh, arrays, chunks, Memory::shared, [&](const Chunk& chunk, const at::Tensor& whole) {
    write(chunk, {data_of(whole), static_cast<std::size_t>(whole.numel())});
  });
}

void keep_chunks(const Mesh& mesh, const std::vector<ShardedArray>& arrays, const std::vector<Chunk>& chunks,
                 const std::function<void(const Chunk&, at::Tensor)>& keep) {
  collect_chunks(mesh, arrays, chunks, Memory::own, keep);
}

std::int64_t scatter_array(const Mesh& mesh, const ShardedArray& array, const ReadBytes& read, std::exception_ptr& failure) {
  const MeshPosition& me = mesh.position();
  const std::int64_t element = framework::size_of(array.spec.dtype);
  std::int64_t asked = 0;
  const auto guarded_read = [&](Range elements, const at::Tensor& out) {
    if (failure) return;
    try {
      asked += out.numel();
      read(static_cast<std::uint64_t>(elements.begin * element), {data_of(out), static_cast<std::size_t>(out.numel())});
    } catch (const std::exception&) {
      failure = std::current_exception();
    }
  };
  const at::Tensor local = bytes_of(array.local);
  const auto part_of_local = [&](Range part) { return stretch_of(local, part, element); };
  const ShardGeometry mine = geometry_of(array, me.tensor, me.data);
  if (each_reads_alone(mesh, array)) {
    guarded_read(mine.global_hull(), local);
    return asked;
  }
  std::vector<Holder> holders;
  for (int tensor = 0; tensor < mesh.shape().tensor; ++tensor) holders.push_back({tensor, geometry_of(array, tensor, me.data)});
  std::vector<Chunk> chunks;
  std::size_t turn = 0;
  deal_blocks(array, 0, holders, turn, chunks);

  std::vector<std::unique_ptr<Work>> receives;
  for (const Chunk& chunk : chunks) {
    const Range wanted = mine.local_range(elements_of(chunk, element));
    if (chunk.writer == me.tensor || wanted.size() == 0) continue;
    receives.push_back(mesh.tensor().receive_async(part_of_local(wanted), chunk.writer, kTag));
  }
  SendQueue sends;
  for (const Chunk& chunk : chunks) {
    if (chunk.writer != me.tensor) continue;
    const Range elements = elements_of(chunk, element), wanted = mine.local_range(elements);
    const bool in_place = wanted.size() == elements.size();
    const at::Tensor whole = in_place ? part_of_local(wanted) : byte_buffer(chunk.bytes.size(), at::kCPU);
    guarded_read(elements, whole);
    for (const Holder& holder : holders) {
      const Range held = holder.part.local_range(elements);
      const bool own = holder.rank == me.tensor;
      if (held.size() == 0 || (in_place && own)) continue;
      const at::Tensor packed = own ? part_of_local(held) : byte_buffer(held.size() * element, at::kCPU);
      copy_runs(holder.part, elements, element, data_of(whole), data_of(packed), false);
      if (!own) sends.add(mesh.tensor().send_async(packed, holder.rank, kTag), packed);
    }
  }
  sends.drain();
  for (const std::unique_ptr<Work>& receive : receives) receive->wait();
  return asked;
}

}  // namespace retain::parallel
