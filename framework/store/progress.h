// SPDX-License-Identifier: Apache-2.0
// Mid-stage checkpoints: what a run needs to go on from an optimizer step. progress/<run key>/step-<n>.h5, in the form
// of stage files; the newest is durable before an older one is removed.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/store/commit.h"
#include "framework/store/stage_file.h"
#include "framework/store/store_lock.h"

namespace retain::framework {

/// Steps that have a checkpoint, ascending.
std::vector<std::int64_t> progress_steps(const Store& store, const std::string& run_key);

/// Opens one. Its manifest: parents = the stage the run teaches, inputs = the run's state (random streams, position in
/// the data, …). Throws Error(io) when it is not there, Error(store_invalid) or Error(store_digest) when it is damaged.
std::unique_ptr<const StageFile> open_progress(const Store& store, const std::string& run_key, std::int64_t step);

/// What was found in checkpoints that cannot be used.
struct PassedOver {
  std::vector<std::string> damaged;  ///< a line each: file, expected, found
  std::size_t unreadable = 0;        ///< of these those that the system would not read (Error(io)): a bad sector, permissions

  /// Error(io) naming what could not be read, where there was such: for those who found none to go on from. The disk may be
  /// readable later, and nothing is to be begun anew for that.
  void require_readable() const;
};

/// The newest step whose file is intact, and the newer ones that are not.
struct LatestProgress {
  std::optional<std::int64_t> step;
  PassedOver passed;
};
/// Of `steps` (ascending) the newest that `check` does not refuse with Error(store_invalid), Error(store_digest) or Error(io). Other
/// errors are passed on.
LatestProgress newest_intact(const std::vector<std::int64_t>& steps, const std::function<void(std::int64_t step)>& check);
/// Every byte is checked.
LatestProgress latest_progress(const Store& store, const std::string& run_key);

/// One checkpoint under way, used like StageCommit.
class ProgressCommit {
 public:
  /// `draft.parents` may be empty; nothing is linked, only draft.arrays are written ("tensors/…",
  /// "optimizer/<state>/…").
  ProgressCommit(const Store& store, const StoreLock& lock, const std::string& run_key, std::int64_t step,
                 StageDraft draft);

  const StageLayout& layout() const { return writer_->layout(); }
  /// Makes it visible and durable (replacing one of the same step), then removes all but the newest `keep` of this run up to this
  /// step. Those of later steps go: the run went back past them, as one of them was damaged.
  void publish(const std::vector<std::vector<Digest>>& blocks, std::size_t keep);

 private:
  Store store_;
  std::string run_key_;
  std::int64_t step_;
  std::unique_ptr<StageFileWriter> writer_;
};

/// Removes all checkpoints of a run: its stage is committed.
void clear_progress(const Store& store, const StoreLock& lock, const std::string& run_key);

/// Run keys that have checkpoints.
std::vector<std::string> progress_runs(const Store& store);

}  // namespace retain::framework
