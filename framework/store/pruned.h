// SPDX-License-Identifier: Apache-2.0
// What gc removed from between stages that stay: log/pruned.jsonl. Without it a line of parents would end at the first gap, and
// what a rule kept beyond would look like garbage to the next gc.
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "framework/store/store_lock.h"

namespace retain::framework {

/// A stage's id → its parents' ids, as its manifest had them.
using ParentsOfStages = std::map<std::string, std::vector<std::string>>;

/// All that were ever noted, also those that were taught again since: a stage that is in the store is not pruned. A line counts
/// as `damaged` where its digest differs or it names no stages. Throws Error(io).
ParentsOfStages pruned_stages(const Store& store, std::size_t* damaged = nullptr);

/// Notes those that are not noted yet, durably: to be called before their files go.
void note_pruned(const Store& store, const StoreLock& lock, const ParentsOfStages& stages);

}  // namespace retain::framework
