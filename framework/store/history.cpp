// SPDX-License-Identifier: Apache-2.0
#include "framework/store/history.h"

#include <algorithm>
#include <utility>

#include "framework/store/progress.h"
#include "framework/store/refs.h"
#include "framework/store/stage_reader.h"

namespace retain::framework {
namespace {

/// The stages of `open` (the last is taken first) and everything before them, in the order of lineage().
std::vector<std::string> walk(const Store& store, std::vector<std::string> open) {
  const ParentsOfStages pruned = pruned_stages(store);
  std::vector<std::string> order;
  std::set<std::string> seen;
  while (!open.empty()) {
    const std::string next = std::move(open.back());
    open.pop_back();
    if (!seen.insert(next).second) continue;
    const auto parents = parents_of(store, pruned, next);
    if (!parents) continue;
    order.push_back(next);
    open.insert(open.end(), parents->rbegin(), parents->rend());
  }
  return order;
}

}  // namespace

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

std::optional<std::vector<std::string>> parents_of(const Store& store, const ParentsOfStages& pruned, const std::string& id) {
  if (store.has_stage(id)) return open_stage_file(store, id)->manifest().parents;
  const auto noted = pruned.find(id);
  return noted == pruned.end() ? std::nullopt : std::optional(noted->second);
}

std::vector<std::string> lineage(const Store& store, const std::string& id) {
  open_stage_file(store, id);
  return walk(store, {id});
}

std::vector<std::string> lineage(const Store& store, const std::set<std::string>& stages) {
  return walk(store, {stages.begin(), stages.end()});
}

std::vector<std::string> ancestry(const Store& store, const std::string& id) {
  std::vector<std::string> order = lineage(store, id);
  std::erase_if(order, [&](const std::string& stage) { return !store.has_stage(stage); });
  return order;
}

std::vector<std::string> first_parents(const Store& store, const std::string& id) {
  const ParentsOfStages pruned = pruned_stages(store);
  std::vector<std::string> line;
  for (std::optional<std::string> next = id; next;) {
    const auto parents = parents_of(store, pruned, *next);
    if (!parents || std::find(line.begin(), line.end(), *next) != line.end()) break;
    line.push_back(*std::move(next));
    next = parents->empty() ? std::nullopt : std::optional(parents->front());
  }
  return line;
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

std::set<std::string> with_holders(const Store& store, const std::set<std::string>& stages) {
  std::set<std::string> found;
  std::vector<std::string> open(stages.begin(), stages.end());
  while (!open.empty()) {
    const std::string next = std::move(open.back());
    open.pop_back();
    if (!found.insert(next).second) continue;
    for (const std::string& holder : holders_of(store, next)) open.push_back(holder);
  }
  return found;
}

std::set<std::string> reachable(const Store& store, bool undo) {
  std::vector<std::string> roots;
  for (const Ref& ref : refs_of(store)) {
    open_stage_file(store, ref.stage);  // a ref that leads nowhere must not pass for one that needs nothing
    roots.push_back(ref.stage);
  }
  for (const std::string& run : progress_runs(store))
    for (const std::int64_t step : progress_steps(store, run)) {
      const auto file = open_progress(store, run, step);
      roots.insert(roots.end(), file->manifest().parents.begin(), file->manifest().parents.end());
    }
  if (undo)
    for (const RefMove& move : ref_moves(store)) {
      roots.push_back(move.from);
      roots.push_back(move.to);
    }
  std::set<std::string> needed;
  for (const std::string& id : walk(store, std::move(roots)))
    if (store.has_stage(id)) needed.insert(id);
  return with_holders(store, needed);
}

}  // namespace retain::framework
