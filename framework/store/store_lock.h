// SPDX-License-Identifier: Apache-2.0
// One writer at a time: a process, or the processes of one run that let each other in. Readers take no lock.
#pragma once
#include <memory>
#include <set>
#include <string>

#include "framework/store/file_ops.h"
#include "framework/store/store.h"

namespace retain::framework {

/// The right to change a store, held until destroyed or until the process ends (the kernel lets go then, so the lock of
/// a dead process never needs removing). Works between processes, and between hosts where the file system has POSIX
/// locks (NFS 4, Lustre mounted with -o flock).
class StoreLock {
 public:
  /// Throws Error(store_locked) at once, naming who holds it (process, host, since), or Error(io) when the file system
  /// has no locks. What an earlier process left in the store's folders is durable afterwards. `purpose` is shown to
  /// others ("retain run experiment.toml").
  StoreLock(const Store& store, const std::string& purpose);
  /// For other processes of a run whose first process has admitted them: each has a `member` of its own, from 1 on. As long as
  /// one of them lives, the store stays locked for everybody else. Throws Error(store_locked) when that number is taken.
  static StoreLock join(const Store& store, int member);
  ~StoreLock();
  StoreLock(StoreLock&&) noexcept = default;

  /// From now on other processes may join().
  void admit();
  /// Whether others may hold it too; then what several write is changed under a StoreTurn.
  bool is_shared() const noexcept { return shared_; }

  const std::filesystem::path& root() const noexcept { return root_; }
  /// Throws Error(internal) unless this lock is of `store`.
  void check(const Store& store) const;

 private:
  friend class StoreTurn;
  friend class RunMarks;
  enum class Sharing { alone, shared };
  StoreLock(const Store& store, Sharing sharing);

  std::filesystem::path root_;
  File file_;
  bool shared_;
};

/// While it lives, no other process of the run changes what several of them write (the log of refs, study.json). Short: others
/// wait for it, ten minutes at most, then Error(store_locked). Nothing where the lock is not shared. Not to be nested.
class StoreTurn {
 public:
  explicit StoreTurn(const StoreLock& lock);
  ~StoreTurn();
  StoreTurn(const StoreTurn&) = delete;
  StoreTurn& operator=(const StoreTurn&) = delete;

 private:
  const StoreLock& lock_;
};

/// What the processes of one run tell each other: marks by name, each of which one process can have. They leave nothing behind:
/// a process's marks end with its lock. `lock` outlives this.
class RunMarks {
 public:
  explicit RunMarks(const StoreLock& lock) : lock_(lock) {}

  /// False where the mark is another process's.
  bool take(const std::string& name);
  /// Gives an own mark back.
  void give_back(const std::string& name);
  /// Whether any process has it.
  bool is_taken(const std::string& name) const;

 private:
  const StoreLock& lock_;
  std::set<std::string> own_;
};

}  // namespace retain::framework
