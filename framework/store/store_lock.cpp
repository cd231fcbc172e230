// SPDX-License-Identifier: Apache-2.0
#include "framework/store/store_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "framework/base/json.h"
#include "framework/store/clock.h"

namespace retain::framework {
namespace {

constexpr std::uint64_t kLongestNote = 4096;

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown host";
}

/// Who holds the lock, from the note in the file; the note may be half written.
std::string holder(const File& file) {
  std::string text(std::min(file.bytes(), kLongestNote), '\0');
  try {
    file.read(std::as_writable_bytes(std::span(text)), 0);
    const json::value note = parse_json(text, "the lock's note", ErrorKind::store_invalid);
    return "process " + std::to_string(note.at("process").as_int64()) + " on " +
           std::string(note.at("host").as_string()) + " (" + std::string(note.at("purpose").as_string()) + ") since " +
           std::string(note.at("since").as_string());
  } catch (const std::exception&) {
    return "a process that left no readable note";
  }
}

}  // namespace

StoreLock::StoreLock(const Store& store, const std::string& purpose)
    : root_(store.root()), file_(store.operations(), store.root() / "lock", O_RDWR | O_CREAT) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  // The lock belongs to the open file, not to the process: two locks in one process exclude each other as well.
  if (::fcntl(file_.descriptor(), F_OFD_SETLK, &whole) != 0) {
    const int code = errno;
    if (code == EAGAIN || code == EACCES)
      throw Error(ErrorKind::store_locked,
                  {"store " + root_.string() + " is locked by another run", "one writer at a time", holder(file_),
                   "wait until it has ended or end it; reading needs no lock"});
    throw Error(ErrorKind::io,
                {"cannot lock store " + root_.string(), "a file system with POSIX locks", std::strerror(code),
                 "mount it with locks (Lustre: -o flock), or name a store elsewhere"});
  }
  json::object note;
  note["process"] = static_cast<std::int64_t>(::getpid());
  note["host"] = host_name();
  note["since"] = time_text();
  note["purpose"] = purpose.substr(0, 2048);
  file_.resize(0);
  file_.write(as_bytes(json::serialize(note) + "\n"), 0);
}

StoreLock::~StoreLock() = default;

void StoreLock::check(const Store& store) const {
  if (root_ != store.root())
    throw Error(ErrorKind::internal, "the lock of " + root_.string() + " was used on " + store.root().string());
}

}  // namespace retain::framework
