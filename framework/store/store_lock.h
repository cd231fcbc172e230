// SPDX-License-Identifier: Apache-2.0
// One writer at a time. Readers take no lock.
#pragma once
#include "framework/store/file_ops.h"
#include "framework/store/store.h"

namespace retain::framework {

/// The right to change a store, held until destroyed or until the process ends (the kernel lets go then, so the lock of
/// a dead process never needs removing). Works between processes, and between hosts where the file system has POSIX
/// locks (NFS 4, Lustre mounted with -o flock).
class StoreLock {
 public:
  /// Throws Error(store_locked) at once, naming who holds it (process, host, since), or Error(io) when the file system
  /// has no locks. `purpose` is shown to others ("retain run experiment.toml").
  StoreLock(const Store& store, const std::string& purpose);
  ~StoreLock();
  StoreLock(StoreLock&&) noexcept = default;

  const std::filesystem::path& root() const noexcept { return root_; }
  /// Throws Error(internal) unless this lock is of `store`.
  void check(const Store& store) const;

 private:
  std::filesystem::path root_;
  File file_;
};

}  // namespace retain::framework
