// SPDX-License-Identifier: Apache-2.0
// Open file description locks (fcntl(2)); between hosts where the file system has POSIX locks.
#include "framework/store/byte_locks.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

struct flock request(short type, ByteRange range) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = range.begin;
  lock.l_len = range.bytes;
  return lock;
}

[[noreturn]] void refuse(const File& file, int code) {
  throw Error(ErrorKind::io, {"cannot lock " + file.path().string(), "a file system with POSIX locks", std::strerror(code),
                              "mount it with locks (Lustre: -o flock), or name a store elsewhere"});
}

}  // namespace

bool lock_bytes(const File& file, ByteRange range) {
  struct flock lock = request(F_WRLCK, range);
  if (::fcntl(file.descriptor(), F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  refuse(file, errno);
}

void unlock_bytes(const File& file, ByteRange range) {
  struct flock lock = request(F_UNLCK, range);
  if (::fcntl(file.descriptor(), F_OFD_SETLK, &lock) != 0) refuse(file, errno);
}

bool are_locked_elsewhere(const File& file, ByteRange range) {
  struct flock lock = request(F_WRLCK, range);
  if (::fcntl(file.descriptor(), F_OFD_GETLK, &lock) != 0) refuse(file, errno);
  return lock.l_type != F_UNLCK;
}

}  // namespace retain::framework
