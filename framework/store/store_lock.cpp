// SPDX-License-Identifier: Apache-2.0
#include "framework/store/store_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "framework/base/json.h"
#include "framework/store/byte_locks.h"
#include "framework/store/clock.h"
#include "framework/store/digest.h"

namespace retain::framework {
namespace {

constexpr std::uint64_t kLongestNote = 4096;

// Who holds which bytes of the file `lock`. A new run asks for all of them, so any one keeps it out.
constexpr ByteRange kAll{0, 0};
constexpr ByteRange kMembers{1, 0};  // the first process keeps byte 0; member n holds byte n
constexpr int kMostMembers = 1 << 16;
constexpr ByteRange kTurn{std::int64_t{1} << 17, 1};
constexpr std::int64_t kFirstMark = std::int64_t{1} << 20;
constexpr std::int64_t kMarks = std::int64_t{1} << 61;

constexpr std::chrono::minutes kLongestTurn{10};

/// Two names meet on one byte once in 2^61 pairs.
ByteRange place_of(const std::string& mark) {
  const std::uint64_t number = digest_of(std::string_view(mark)).low;
  return {kFirstMark + static_cast<std::int64_t>(number % static_cast<std::uint64_t>(kMarks)), 1};
}

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

/// A process that was killed between a rename and the fsync of its folder leaves a name that is in the page cache alone. Who writes
/// next finds the work done and would report so: what it can see must last.
void make_names_durable(const Store& store) {
  FileOperations& operations = store.operations();
  for (const char* folder : {"refs", "refs/heads", "refs/tags", "stages", "progress", "results", "log"})
    if (std::error_code code; std::filesystem::is_directory(store.root() / folder, code)) operations.sync_directory(store.root() / folder);
  operations.sync_directory(store.root());
  // A folder that we may pass but not open: whoever made the store in it could.
  const std::filesystem::path parent = std::filesystem::absolute(store.root()).parent_path();
  if (::access(parent.c_str(), R_OK) == 0) operations.sync_directory(parent);
}

}  // namespace

StoreLock::StoreLock(const Store& store, Sharing sharing)
    : root_(store.root()), file_(store.operations(), store.root() / "lock", O_RDWR | O_CREAT), shared_(sharing == Sharing::shared) {}

StoreLock::StoreLock(const Store& store, const std::string& purpose) : StoreLock(store, Sharing::alone) {
  if (!lock_bytes(file_, kAll))
    throw Error(ErrorKind::store_locked,
                {"store " + root_.string() + " is locked by another run", "one writer at a time", holder(file_),
                 "wait until it has ended or end it; reading needs no lock"});
  json::object note;
  note["process"] = static_cast<std::int64_t>(::getpid());
  note["host"] = host_name();
  note["since"] = time_text();
  note["purpose"] = purpose.substr(0, 2048);
  file_.resize(0);
  file_.write(as_bytes(json::serialize(note) + "\n"), 0);
  make_names_durable(store);
}

StoreLock StoreLock::join(const Store& store, int member) {
  if (member < 1 || member >= kMostMembers)
    throw Error(ErrorKind::internal, "a run has members 1 to " + std::to_string(kMostMembers - 1));
  StoreLock lock(store, Sharing::shared);
  if (!lock_bytes(lock.file_, {member, 1}))
    throw Error(ErrorKind::store_locked,
                {"store " + lock.root_.string() + " lets nobody join", "a run that has admitted member " + std::to_string(member),
                 holder(lock.file_), {}});
  return lock;
}

StoreLock::~StoreLock() = default;

void StoreLock::admit() {
  unlock_bytes(file_, kMembers);
  shared_ = true;
}

void StoreLock::check(const Store& store) const {
  if (root_ != store.root())
    throw Error(ErrorKind::internal, "the lock of " + root_.string() + " was used on " + store.root().string());
}

StoreTurn::StoreTurn(const StoreLock& lock) : lock_(lock) {
  if (!lock.shared_) return;
  const auto end = std::chrono::steady_clock::now() + kLongestTurn;
  for (std::chrono::microseconds rest{100}; !lock_bytes(lock.file_, kTurn); rest = std::min(2 * rest, std::chrono::microseconds{10000})) {
    if (std::chrono::steady_clock::now() > end)
      throw Error(ErrorKind::store_locked, {"another group of this run keeps its turn on store " + lock.root_.string(),
                                            "a turn of at most ten minutes", {}, "see what its ranks do, and whether the disk answers"});
    std::this_thread::sleep_for(rest);
  }
}

StoreTurn::~StoreTurn() {
  if (!lock_.shared_) return;
  try {
    unlock_bytes(lock_.file_, kTurn);
  } catch (const Error&) {
    // The kernel lets go of it with the process.
  }
}

bool RunMarks::take(const std::string& name) {
  if (!lock_bytes(lock_.file_, place_of(name))) return false;
  own_.insert(name);
  return true;
}

void RunMarks::give_back(const std::string& name) {
  if (own_.erase(name) > 0) unlock_bytes(lock_.file_, place_of(name));
}

bool RunMarks::is_taken(const std::string& name) const {
  return own_.contains(name) || are_locked_elsewhere(lock_.file_, place_of(name));
}

}  // namespace retain::framework
