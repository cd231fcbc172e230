// SPDX-License-Identifier: Apache-2.0
// Restoring damaged or missing stages from another copy of the store.
#pragma once
#include <string>
#include <vector>

#include "framework/store/store_lock.h"

namespace retain::framework {

struct RepairReport {
  std::vector<std::string> restored;    ///< ids of stages whose file was replaced or brought back
  std::vector<std::string> irreparable; ///< ids of damaged stages that `copy` lacks or holds damaged too
  std::vector<std::string> damaged_refs;  ///< messages: missing stages that only these name did not come back
};

/// Every stage file that does not verify, and every one that a ref, an ancestor's line or a link needs and that is gone, is
/// written anew from `copy`, whose own bytes are checked first: under temporary/, made durable, renamed over the old. The
/// content id proves that it is the same stage. Refs, results and mid-stage checkpoints are left alone.
RepairReport repair(const Store& store, const StoreLock& lock, const Store& copy);

}  // namespace retain::framework
