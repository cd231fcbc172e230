// SPDX-License-Identifier: Apache-2.0
// A whole file mapped read-only into memory; the operating system fetches only the pages that are touched.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>

namespace retain::framework {

class MappedFile {
 public:
  /// Throws Error(io) naming the file. An empty file gives an empty span.
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

 private:
  void release() noexcept;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace retain::framework
