// SPDX-License-Identifier: Apache-2.0
#include "framework/store/direct_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace retain::framework {
namespace {

/// Takes whole pages off the front of `bytes` by `move`, which is given at most a bounce buffer's worth and their offset, and
/// returns how many bytes it moved; until it moves none, or what is left is not whole pages.
template <typename Byte, typename Move>
void move_pages(std::span<Byte>& bytes, std::uint64_t& offset, Move move) {
  constexpr std::size_t kPage = BounceBuffer::kPage;
  while (offset % kPage == 0 && bytes.size() >= kPage) {
    const std::size_t moved = move(bytes.first(std::min(BounceBuffer::kBytes, bytes.size() / kPage * kPage)), offset);
    if (moved == 0) return;
    bytes = bytes.subspan(moved);
    offset += moved;
  }
}

}  // namespace

void BounceBuffer::Free::operator()(std::byte* memory) const noexcept {
  std::free(memory);
}

std::byte* BounceBuffer::data() {
  if (!memory_) memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, kBytes)));
  return memory_.get();
}

DirectWriter::DirectWriter(FileOperations& operations, File& file)
    : operations_(operations), file_(file), descriptor_(operations.open_direct(file.path(), O_WRONLY)) {}

// An error of close(2) cannot leave a destructor: who wants to know calls close().
DirectWriter::~DirectWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void DirectWriter::close() {
  if (descriptor_ >= 0) operations_.close(std::exchange(descriptor_, -1), file_.path());
}

void DirectWriter::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  if (descriptor_ >= 0 && bounce_.data())
    move_pages(bytes, offset, [&](std::span<const std::byte> pages, std::uint64_t at) {
      std::memcpy(bounce_.data(), pages.data(), pages.size());
      return operations_.write_direct_at(descriptor_, {bounce_.data(), pages.size()}, at, file_.path());
    });
  file_.write(bytes, offset);
}

DirectReader::DirectReader(FileOperations& operations, const File& file)
    : operations_(operations), file_(file), descriptor_(operations.open_direct(file.path(), O_RDONLY)) {}

DirectReader::~DirectReader() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void DirectReader::read(std::span<std::byte> bytes, std::uint64_t offset) const {
  thread_local BounceBuffer bounce;
  if (descriptor_ >= 0 && bounce.data())
    move_pages(bytes, offset, [&](std::span<std::byte> pages, std::uint64_t at) {
      // Nothing is moved at the file's end too: the ordinary read says so.
      const std::size_t moved = operations_.read_direct_at(descriptor_, {bounce.data(), pages.size()}, at, file_.path());
      std::memcpy(pages.data(), bounce.data(), moved);
      return moved;
    });
  file_.read(bytes, offset);
}

}  // namespace retain::framework
