// SPDX-License-Identifier: Apache-2.0
// Collecting what nobody needs any more.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "framework/store/retention.h"
#include "framework/store/store_lock.h"

namespace retain::framework {

struct GcOptions {
  bool dry_run = true;    ///< only say what would go
  bool keep_undo = true;  ///< keep what the log of refs can still bring back; without meaning where there are rules
  RetentionRules rules;   ///< without any, whatever a ref leads to stays
};

struct GcReport {
  std::vector<std::string> stages;                 ///< ids of stages that no ref reaches, or no rule keeps
  std::vector<std::filesystem::path> temporaries;  ///< files of commits that never ended
  std::uint64_t bytes = 0;                         ///< what all of them take on disk
};

/// Removes stage files that neither a ref, an ancestor of one, nor a mid-stage checkpoint needs, and leftovers in
/// temporary/ (there can be no live ones: the lock is ours). Everything is read before anything is removed, so a store
/// with a damaged ref or manifest loses nothing (the error is thrown). Of what goes from between stages that stay the parents are
/// noted before (pruned.h), so that the next time sees beyond the gap. A stage goes before those that hold its arrays: what a stop
/// leaves is whole.
GcReport collect_garbage(const Store& store, const StoreLock& lock, const GcOptions& options);

}  // namespace retain::framework
