// SPDX-License-Identifier: Apache-2.0
#include "framework/store/direct_io.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace retain::framework {

void BounceBuffer::Free::operator()(std::byte* memory) const noexcept {
  std::free(memory);
}

std::byte* BounceBuffer::data() {
  if (!memory_) memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, kBytes)));
  return memory_.get();
}

DirectWriter::DirectWriter(FileOperations& operations, File& file)
    : operations_(operations), file_(file), descriptor_(operations.open_direct(file.path(), O_WRONLY)) {}

DirectWriter::~DirectWriter() {
  if (descriptor_ >= 0) operations_.close(descriptor_, file_.path());
}

void DirectWriter::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  constexpr std::size_t kPage = BounceBuffer::kPage;
  while (descriptor_ >= 0 && offset % kPage == 0 && bytes.size() >= kPage && bounce_.data()) {
    const std::size_t count = std::min(BounceBuffer::kBytes, bytes.size() / kPage * kPage);
    std::memcpy(bounce_.data(), bytes.data(), count);
    const std::size_t moved = operations_.write_direct_at(descriptor_, {bounce_.data(), count}, offset, file_.path());
    if (moved == 0) break;
    bytes = bytes.subspan(moved);
    offset += moved;
  }
  file_.write(bytes, offset);
}

DirectReader::DirectReader(FileOperations& operations, const File& file)
    : operations_(operations), file_(file), descriptor_(operations.open_direct(file.path(), O_RDONLY)) {}

DirectReader::~DirectReader() {
  if (descriptor_ >= 0) operations_.close(descriptor_, file_.path());
}

void DirectReader::read(std::span<std::byte> bytes, std::uint64_t offset) const {
  thread_local BounceBuffer bounce;
  constexpr std::size_t kPage = BounceBuffer::kPage;
  while (descriptor_ >= 0 && offset % kPage == 0 && bytes.size() >= kPage && bounce.data()) {
    const std::size_t count = std::min(BounceBuffer::kBytes, bytes.size() / kPage * kPage);
    const std::size_t moved = operations_.read_direct_at(descriptor_, {bounce.data(), count}, offset, file_.path());
    if (moved == 0) break;  // the file's end too: the ordinary read says so
    std::memcpy(bytes.data(), bounce.data(), moved);
    bytes = bytes.subspan(moved);
    offset += moved;
  }
  file_.read(bytes, offset);
}

}  // namespace retain::framework
