// SPDX-License-Identifier: Apache-2.0
#include "framework/store/history.h"

#include <utility>

#include "framework/store/progress.h"
#include "framework/store/refs.h"
#include "framework/store/stage_reader.h"

namespace retain::framework {

StageSummary summary_of(const Store& store, const std::string& id) {
  const auto file = open_stage_file(store, id);
  StageSummary summary{id, file->manifest(), file->file_bytes(), 0, 0, 0, 0, {}};
  for (const ArrayEntry& array : summary.manifest.arrays) {
    const bool tensor = array.spec.path.starts_with(kTensorPrefix);
    summary.tensors += tensor;
    summary.own_tensors += tensor && array.here();
    (array.here() ? summary.own_bytes : summary.shared_bytes) += array.spec.bytes();
    if (array.here()) continue;
    StageSummary::Share& share = summary.shares[array.holder];
    share.tensors += tensor;
    share.bytes += array.spec.bytes();
  }
  return summary;
}

std::vector<std::string> ancestry(const Store& store, const std::string& id) {
  std::vector<std::string> order;
  std::set<std::string> seen;
  std::vector<std::string> open{id};
  while (!open.empty()) {
    const std::string next = std::move(open.back());
    open.pop_back();
    if (!seen.insert(next).second || (next != id && !store.has_stage(next))) continue;
    order.push_back(next);
    const auto file = open_stage_file(store, next);
    const auto& parents = file->manifest().parents;
    open.insert(open.end(), parents.rbegin(), parents.rend());
  }
  return order;
}

std::set<std::string> holders_of(const Store& store, const std::string& id) {
  const auto file = open_stage_file(store, id);
  std::set<std::string> holders;
  for (const ArrayEntry& array : file->manifest().arrays)
    if (!array.here()) holders.insert(array.holder);
  return holders;
}

std::set<std::string> dependents_of(const Store& store, const std::string& id) {
  std::set<std::string> dependents;
  for (const std::string& other : store.stage_ids())
    if (other != id && holders_of(store, other).contains(id)) dependents.insert(other);
  return dependents;
}

std::set<std::string> reachable(const Store& store, bool undo) {
  std::vector<std::string> roots;
  for (const Ref& ref : refs_of(store)) roots.push_back(ref.stage);
  for (const std::string& run : progress_runs(store))
    for (const std::int64_t step : progress_steps(store, run)) {
      const auto file = open_progress(store, run, step);
      for (const std::string& parent : file->manifest().parents)
        if (store.has_stage(parent)) roots.push_back(parent);
    }
  if (undo)
    for (const RefMove& move : ref_moves(store))
      for (const std::string& stage : {move.from, move.to})
        if (store.has_stage(stage)) roots.push_back(stage);
  std::set<std::string> found;
  for (const std::string& root : roots) {
    if (found.contains(root)) continue;
    for (const std::string& id : ancestry(store, root)) {
      found.insert(id);
      found.merge(holders_of(store, id));
    }
  }
  return found;
}

}  // namespace retain::framework
