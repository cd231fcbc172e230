// SPDX-License-Identifier: Apache-2.0
// A store: version control for weights. A folder of immutable stage files, refs that name them, mid-stage checkpoints,
// memoised results and a lock. docs/checkpoints.md states the commit protocol and what a reader may see at each point.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "framework/store/file_ops.h"

namespace retain::framework {

/// A store opened for reading; reading needs no lock and never waits. Everything that changes a store also takes a
/// StoreLock (store_lock.h). Cheap to copy; holds no open file.
class Store {
 public:
  using Path = std::filesystem::path;

  /// Throws Error(store_invalid) when `root` is not a store or has a format this version does not know.
  static Store open(const Path& root, FileOperations& operations = FileOperations::system());
  /// Opens the store, after creating an empty one when the folder is absent or empty. Safe to call again after a stop
  /// at any point. Throws Error(store_invalid) for a folder that holds something else.
  static Store open_or_create(const Path& root, FileOperations& operations = FileOperations::system());
  static bool is_store(const Path& root);

  const Path& root() const noexcept { return root_; }
  FileOperations& operations() const noexcept { return *operations_; }

  Path stage_path(const std::string& id) const { return root_ / "stages" / (id + ".h5"); }
  bool has_stage(const std::string& id) const;
  /// Ids of all stage files, sorted. Files with other names are left out.
  std::vector<std::string> stage_ids() const;

  /// The stage id a user's words mean: a branch, a tag, an id, or an unambiguous beginning of one (6 digits at least),
  /// each possibly followed by "~n" for the n-th first parent. Throws Error(store_unknown_stage) that lists what there
  /// is.
  std::string resolve(const std::string& name) const;

  /// A name for a file under temporary/ that nobody else uses, relative to root().
  std::string temporary_name(const std::string& purpose) const;

 private:
  Store(Path root, FileOperations& operations) : root_(std::move(root)), operations_(&operations) {}

  Path root_;
  FileOperations* operations_;
};

/// Letters, digits and "._-", not starting with a dot, at most `longest` bytes: names of branches, tags, runs and
/// results.
bool is_plain_name(const std::string& name, std::size_t longest = 120);
/// Throws Error(usage) naming `what` unless is_plain_name.
void require_plain_name(const std::string& name, const std::string& what);

/// Names of the regular files in a folder, sorted; empty when there is no such folder.
std::vector<std::string> files_in(const std::filesystem::path& folder);

}  // namespace retain::framework
