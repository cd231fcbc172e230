// SPDX-License-Identifier: Apache-2.0
#include "framework/store/direct_writer.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace retain::framework {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kPiece = std::size_t{4} << 20;

}  // namespace

void DirectWriter::Free::operator()(std::byte* memory) const noexcept {
  std::free(memory);
}

DirectWriter::DirectWriter(FileOperations& operations, File& file)
    : operations_(operations), file_(file), descriptor_(operations.open_direct(file.path())) {}

DirectWriter::~DirectWriter() {
  if (descriptor_ >= 0) operations_.close(descriptor_, file_.path());
}

void DirectWriter::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  while (descriptor_ >= 0 && offset % kPage == 0 && bytes.size() >= kPage) {
    if (!bounce_) bounce_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, kPiece)));
    if (!bounce_) break;
    const std::size_t count = std::min(kPiece, bytes.size() / kPage * kPage);
    std::memcpy(bounce_.get(), bytes.data(), count);
    const std::size_t moved = operations_.write_direct_at(descriptor_, {bounce_.get(), count}, offset, file_.path());
    if (moved == 0) break;
    bytes = bytes.subspan(moved);
    offset += moved;
  }
  file_.write(bytes, offset);
}

}  // namespace retain::framework
