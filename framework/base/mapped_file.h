// SPDX-License-Identifier: Apache-2.0
// A whole file, mapped read-only into memory or copied from: of the mapping, the operating system fetches only the
// pages that are touched; what read() copies is not mapped in, so it counts once in the process's memory.
#pragma once
#include <cstddef>
#include <cstdint>
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

  /// Copies out.size() bytes from byte `at` on. Thread-safe. Throws Error(io) where the file has become shorter.
  void read(std::uint64_t at, std::span<std::byte> out) const;
  /// Asks the operating system to have these bytes ready soon.
  void expect(std::uint64_t at, std::uint64_t bytes) const noexcept;

 private:
  void map();
  void release() noexcept;
  std::filesystem::path file_;
  int descriptor_ = -1;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace retain::framework
