// SPDX-License-Identifier: Apache-2.0
#include "framework/store/file_ops.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

std::string remedy_for(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "free space on that file system, raise the quota, or name a store elsewhere";
    case EACCES:
    case EPERM:
      return "check the owner and permissions of the folder";
    case EROFS:
      return "the file system is mounted read-only; name a store that can be written";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files (ulimit -n)";
    default:
      return {};
  }
}

[[noreturn]] void fail(const std::string& action, const std::filesystem::path& path) {
  const int code = errno;
  throw Error(ErrorKind::io, {"cannot " + action + " " + path.string(), {}, std::strerror(code), remedy_for(code)});
}

// The kernel moves at most 2 GiB a call.
constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;

}  // namespace

int FileOperations::open(const Path& path, int flags, mode_t mode) {
  for (;;) {
    const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
    if (descriptor >= 0) return descriptor;
    if (errno != EINTR) fail((flags & O_CREAT) ? "create" : "open", path);
  }
}

void FileOperations::close(int descriptor, const Path& path) {
  if (::close(descriptor) != 0 && errno != EINTR) fail("close", path);
}

std::size_t FileOperations::read_at(int descriptor, std::span<std::byte> bytes, std::uint64_t offset,
                                    const Path& path) {
  for (;;) {
    const ssize_t moved =
        ::pread(descriptor, bytes.data(), std::min(bytes.size(), kLargestTransfer), static_cast<off_t>(offset));
    if (moved >= 0) return static_cast<std::size_t>(moved);
    if (errno != EINTR) fail("read", path);
  }
}

std::size_t FileOperations::write_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset,
                                     const Path& path) {
  for (;;) {
    const ssize_t moved =
        ::pwrite(descriptor, bytes.data(), std::min(bytes.size(), kLargestTransfer), static_cast<off_t>(offset));
    if (moved >= 0) return static_cast<std::size_t>(moved);
    if (errno != EINTR) fail("write", path);
  }
}

int FileOperations::open_direct(const Path& path, int flags) {
  return ::open(path.c_str(), flags | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
}

std::size_t FileOperations::read_direct_at(int descriptor, std::span<std::byte> bytes, std::uint64_t offset, const Path& path) {
  for (;;) {
    const ssize_t moved = ::pread(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (moved >= 0) return static_cast<std::size_t>(moved);
    if (errno == EINVAL || errno == EOPNOTSUPP) return 0;
    if (errno != EINTR) fail("read", path);
  }
}

std::size_t FileOperations::write_direct_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset,
                                            const Path& path) {
  for (;;) {
    const ssize_t moved = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (moved >= 0) return static_cast<std::size_t>(moved);
    if (errno == EINVAL || errno == EOPNOTSUPP) return 0;
    if (errno != EINTR) fail("write", path);
  }
}

void FileOperations::resize(int descriptor, std::uint64_t bytes, const Path& path) {
  if (::ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) fail("resize", path);
}

void FileOperations::reserve(int descriptor, std::uint64_t bytes, const Path& path) {
  if (bytes == 0 || ::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0) return;
  if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == EINTR) return;
  fail("reserve space for", path);
}

void FileOperations::sync(int descriptor, const Path& path) {
  if (::fsync(descriptor) != 0) fail("make durable", path);
}

void FileOperations::rename(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail("rename " + from.string() + " to", to);
}

void FileOperations::remove(const Path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail("remove", path);
}

bool FileOperations::make_directory(const Path& path) {
  if (::mkdir(path.c_str(), 0755) == 0) return true;
  struct stat found {};
  if (errno == EEXIST && ::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) return false;
  fail("create folder", path);
}

void FileOperations::remove_directory(const Path& path) {
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) fail("remove folder", path);
}

void FileOperations::sync_directory(const Path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail("open folder", path);
  // Some network file systems cannot sync a folder and say EINVAL; there the rename itself is synchronous.
  const bool failed = ::fsync(descriptor) != 0 && errno != EINVAL;
  const int code = errno;
  ::close(descriptor);
  errno = code;
  if (failed) fail("make durable", path);
}

std::uint64_t FileOperations::free_bytes(const Path& path) {
  struct statvfs found {};
  if (::statvfs(path.c_str(), &found) != 0) fail("ask for the free space of", path);
  return static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
}

FileOperations& FileOperations::system() {
  static FileOperations operations;  // holds no state
  return operations;
}

File::File(FileOperations& operations, std::filesystem::path path, int flags, mode_t mode)
    : operations_(&operations), path_(std::move(path)), descriptor_(operations.open(path_, flags, mode)) {}

File::File(File&& other) noexcept
    : operations_(other.operations_),
      path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::uint64_t File::bytes() const {
  struct stat found {};
  if (::fstat(descriptor_, &found) != 0) fail("look at", path_);
  if (!S_ISREG(found.st_mode)) throw Error(ErrorKind::store_invalid, path_.string() + " is not a regular file");
  return static_cast<std::uint64_t>(found.st_size);
}

void File::read(std::span<std::byte> bytes, std::uint64_t offset) const {
  while (!bytes.empty()) {
    const std::size_t moved = operations_->read_at(descriptor_, bytes, offset, path_);
    if (moved == 0)
      throw Error(ErrorKind::store_invalid,
                  {path_.string() + " ends before its data",
                   std::to_string(bytes.size()) + " more bytes at offset " + std::to_string(offset), "end of file",
                   "restore the file from a copy"});
    bytes = bytes.subspan(moved);
    offset += moved;
  }
}

void File::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const std::size_t moved = operations_->write_at(descriptor_, bytes, offset, path_);
    if (moved == 0) throw Error(ErrorKind::io, {"cannot write " + path_.string(), {}, "no byte was accepted", {}});
    bytes = bytes.subspan(moved);
    offset += moved;
  }
}

void File::close() {
  operations_->close(std::exchange(descriptor_, -1), path_);
}

void write_atomically(FileOperations& operations, const std::filesystem::path& temporary,
                      const std::filesystem::path& target, const std::string& text) {
  try {
    File file(operations, temporary, O_WRONLY | O_CREAT | O_TRUNC);
    file.write(as_bytes(text), 0);
    file.sync();
    file.close();
    operations.rename(temporary, target);
  } catch (const Error&) {
    ::unlink(temporary.c_str());
    throw;
  }
  operations.sync_directory(target.parent_path());
}

std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace retain::framework
