// SPDX-License-Identifier: Apache-2.0
// Every change the store makes to a file system goes through this interface, so that a test can fail, tear or stop at
// any single one of them.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace retain::framework {

/// The operating system's calls, one virtual function a call. All throw Error(io) with the path and the system's
/// reason. The base class is the real thing; it holds no state and may be used from several threads.
class FileOperations {
 public:
  using Path = std::filesystem::path;
  virtual ~FileOperations() = default;

  /// open(2), always with O_CLOEXEC and O_NOFOLLOW. Returns a descriptor.
  virtual int open(const Path& path, int flags, mode_t mode = 0644);
  virtual void close(int descriptor, const Path& path);
  /// One pread(2) / pwrite(2), repeated only after an interruption; returns the bytes moved, which may be fewer.
  virtual std::size_t read_at(int descriptor, std::span<std::byte> bytes, std::uint64_t offset, const Path& path);
  virtual std::size_t write_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset,
                               const Path& path);
  /// Opens an existing file past the page cache, with O_RDONLY or O_WRONLY; -1 where the file system has no such thing.
  virtual int open_direct(const Path& path, int flags);
  /// Like read_at and write_at on a descriptor of open_direct; 0 where the file system will not have it this way.
  virtual std::size_t read_direct_at(int descriptor, std::span<std::byte> bytes, std::uint64_t offset, const Path& path);
  virtual std::size_t write_direct_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset,
                                      const Path& path);
  virtual void resize(int descriptor, std::uint64_t bytes, const Path& path);
  /// Reserves disk blocks for [0, bytes) where the file system can (no error where it cannot).
  virtual void reserve(int descriptor, std::uint64_t bytes, const Path& path);
  virtual void sync(int descriptor, const Path& path);
  virtual void rename(const Path& from, const Path& to);
  /// Removes a file. One that is already gone is no error.
  virtual void remove(const Path& path);
  /// Creates a folder; false when it exists already.
  virtual bool make_directory(const Path& path);
  virtual void remove_directory(const Path& path);
  /// Makes the names in a folder durable.
  virtual void sync_directory(const Path& path);
  /// Bytes an unprivileged user can still write on the file system that holds `path`.
  virtual std::uint64_t free_bytes(const Path& path);

  /// The shared instance that talks to the operating system.
  static FileOperations& system();
};

/// An open file: closed when it goes out of scope.
class File {
 public:
  File(FileOperations& operations, std::filesystem::path path, int flags, mode_t mode = 0644);
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  int descriptor() const noexcept { return descriptor_; }
  std::uint64_t bytes() const;
  /// Fills `bytes`. Throws Error(store_invalid) when the file ends before that.
  void read(std::span<std::byte> bytes, std::uint64_t offset) const;
  void write(std::span<const std::byte> bytes, std::uint64_t offset);
  void resize(std::uint64_t bytes) { operations_->resize(descriptor_, bytes, path_); }
  void reserve(std::uint64_t bytes) { operations_->reserve(descriptor_, bytes, path_); }
  void sync() { operations_->sync(descriptor_, path_); }
  /// Closes now and reports what close(2) reports.
  void close();

 private:
  FileOperations* operations_;
  std::filesystem::path path_;
  int descriptor_;
};

/// A small file that is there entirely or not at all: written beside `target` under `temporary`, made durable, renamed,
/// and its folder made durable.
void write_atomically(FileOperations& operations, const std::filesystem::path& temporary,
                      const std::filesystem::path& target, const std::string& text);

/// Bytes for the functions above.
std::span<const std::byte> as_bytes(const std::string& text);

}  // namespace retain::framework
