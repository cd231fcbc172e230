// SPDX-License-Identifier: Apache-2.0
#include "parallel/array_writer.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "parallel/agreement.h"

namespace retain::parallel {

using framework::Digest;
using framework::StageLayout;

namespace {

/// "array block hex hex …": a line for each chunk a rank has hashed.
std::string to_text(std::size_t array, std::uint64_t first_block, const std::vector<Digest>& digests) {
  std::string line = std::to_string(array) + " " + std::to_string(first_block);
  for (const Digest& digest : digests) line.append(1, ' ').append(framework::to_hex(digest));
  return line.append(1, '\n');
}

void add_digests(const std::string& text, std::vector<std::vector<Digest>>& blocks) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::size_t array = 0;
    std::size_t block = 0;
    words >> array >> block;
    for (std::string hex; words >> hex; ++block)
      blocks.at(array).at(block) = framework::digest_from_hex(hex, "a rank's report");
  }
}

std::uint64_t blocks_of(const ShardedArray& array) {
  return (static_cast<std::uint64_t>(array.spec.bytes()) + framework::kBlockBytes - 1) / framework::kBlockBytes;
}

std::uint64_t first_block_of(const Chunk& chunk) {
  return static_cast<std::uint64_t>(chunk.bytes.begin) / framework::kBlockBytes;
}

/// Collective: everybody learns what everybody hashed.
ArrayDigests share_digests(Communicator& world, const std::string& report, const std::vector<ShardedArray>& arrays) {
  std::vector<std::vector<Digest>> blocks;
  for (const ShardedArray& array : arrays) blocks.emplace_back(blocks_of(array));
  for (const std::string& text : world.gather_text(report)) add_digests(text, blocks);
  ArrayDigests digests;
  for (std::size_t a = 0; a < arrays.size(); ++a) digests.emplace(arrays[a].path, std::move(blocks[a]));
  return digests;
}

ArrayDigests hash_chunks(const Mesh& mesh, const std::vector<ShardedArray>& arrays, const std::vector<Chunk>& chunks) {
  std::string report;
  gather_chunks(mesh, arrays, chunks, [&](const Chunk& chunk, std::span<const std::byte> bytes) {
    report += to_text(chunk.array, first_block_of(chunk), framework::block_digests(bytes));
  });
  return share_digests(mesh.world(), report, arrays);
}

/// Index in the layout by path.
std::map<std::string, std::size_t> places_of(const StageLayout& layout) {
  std::map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < layout.arrays.size(); ++i) place.emplace(layout.arrays[i].spec.path, i);
  return place;
}

std::unique_ptr<framework::ExtentWriter> open_writer(const framework::Store& store, const Mesh& mesh,
                                                     const StageLayout& layout) {
  std::unique_ptr<framework::ExtentWriter> writer;
  agree(mesh.world(),
        [&] { writer = std::make_unique<framework::ExtentWriter>(store.operations(), store.root(), layout); });
  return writer;
}

}  // namespace

std::vector<std::vector<Digest>> in_order(const StageLayout& layout, const ArrayDigests& digests) {
  std::vector<std::vector<Digest>> ordered;
  for (const framework::ArrayEntry& array : layout.arrays) ordered.push_back(digests.at(array.spec.path));
  return ordered;
}

ArrayDigests first_block_digests(const Mesh& mesh, const std::vector<ShardedArray>& arrays) {
  std::vector<Chunk> chunks = deal(arrays, mesh.shape());
  std::erase_if(chunks, [](const Chunk& chunk) { return chunk.bytes.begin > 0; });
  for (Chunk& chunk : chunks)
    chunk.bytes.end = std::min(chunk.bytes.end, static_cast<std::int64_t>(framework::kBlockBytes));
  return hash_chunks(mesh, arrays, chunks);
}

ArrayDigests digests_of(const Mesh& mesh, const std::vector<ShardedArray>& arrays, const std::set<std::string>& paths) {
  std::vector<Chunk> chunks = deal(arrays, mesh.shape());
  std::erase_if(chunks, [&](const Chunk& chunk) { return !paths.contains(arrays[chunk.array].path); });
  ArrayDigests digests = hash_chunks(mesh, arrays, chunks);
  std::erase_if(digests, [&](const auto& entry) { return !paths.contains(entry.first); });
  return digests;
}

ArrayDigests write_arrays(const framework::Store& store, const Mesh& mesh, const StageLayout& layout,
                          const std::vector<ShardedArray>& arrays, std::int64_t& bytes_written) {
  const std::map<std::string, std::size_t> place = places_of(layout);
  std::vector<Chunk> chunks = deal(arrays, mesh.shape());
  std::erase_if(chunks, [&](const Chunk& chunk) { return !place.contains(arrays[chunk.array].path); });
  const std::unique_ptr<framework::ExtentWriter> writer = open_writer(store, mesh, layout);
  std::string report;
  gather_chunks(mesh, arrays, chunks, [&](const Chunk& chunk, std::span<const std::byte> bytes) {
    const std::uint64_t first = first_block_of(chunk);
    report += to_text(chunk.array, first, writer->write(place.at(arrays[chunk.array].path), first, bytes));
  });
  agree(mesh.world(), [&] { writer->finish(); });
  bytes_written += static_cast<std::int64_t>(writer->bytes_written());
  return share_digests(mesh.world(), report, arrays);
}

ArraySnapshot::ArraySnapshot(const Mesh& mesh, const std::vector<ShardedArray>& arrays) {
  std::string report;
  keep_chunks(mesh, arrays, deal(arrays, mesh.shape()), [&](const Chunk& chunk, at::Tensor bytes) {
    const std::span<const std::byte> view(static_cast<const std::byte*>(bytes.const_data_ptr()), bytes.nbytes());
    report += to_text(chunk.array, first_block_of(chunk), framework::block_digests(view));
    pieces_.push_back({arrays[chunk.array].path, first_block_of(chunk), std::move(bytes)});
  });
  digests_ = share_digests(mesh.world(), report, arrays);
}

BackgroundWrite::BackgroundWrite(const framework::Store& store, const Mesh& mesh, const StageLayout& layout,
                                 ArraySnapshot snapshot)
    : mesh_(mesh), writer_(open_writer(store, mesh, layout)) {
  std::map<std::string, std::size_t> place = places_of(layout);
  std::vector<ArraySnapshot::Piece> pieces = std::move(snapshot.pieces_);
  std::erase_if(pieces, [&](const ArraySnapshot::Piece& piece) { return !place.contains(piece.path); });
  thread_ = std::jthread([this, place = std::move(place), pieces = std::move(pieces)](std::stop_token stop) mutable {
    try {
      write(stop, place, std::move(pieces));
    } catch (...) {
      failure_ = std::current_exception();
    }
    busy_ = false;
  });
}

BackgroundWrite::~BackgroundWrite() = default;

void BackgroundWrite::write(const std::stop_token& stop, const std::map<std::string, std::size_t>& place,
                            std::vector<ArraySnapshot::Piece> pieces) {
  for (ArraySnapshot::Piece& piece : pieces) {
    if (stop.stop_requested()) return;
    writer_->put(place.at(piece.path), piece.first_block,
                 {static_cast<const std::byte*>(piece.bytes.const_data_ptr()), piece.bytes.nbytes()});
    piece.bytes.reset();
  }
  writer_->finish();
}

void BackgroundWrite::wait() {
  if (thread_.joinable()) thread_.join();
  bytes_written_ = static_cast<std::int64_t>(writer_->bytes_written());
  agree(mesh_.world(), [&] {
    if (failure_) std::rethrow_exception(failure_);
  });
}

}  // namespace retain::parallel
