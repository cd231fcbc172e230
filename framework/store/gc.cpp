// SPDX-License-Identifier: Apache-2.0
#include "framework/store/gc.h"

#include <sys/stat.h>

#include <map>
#include <set>

#include "framework/store/history.h"
#include "framework/store/pruned.h"

namespace retain::framework {
namespace {

std::uint64_t disk_bytes(const std::filesystem::path& file) {
  struct stat found {};
  return ::lstat(file.c_str(), &found) == 0 ? static_cast<std::uint64_t>(found.st_blocks) * 512 : 0;
}

/// Those of the stages to remove from which one that stays comes, with their parents: a later gc must see beyond them.
ParentsOfStages between_kept(const Store& store, const std::set<std::string>& kept) {
  std::size_t damaged = 0;
  const ParentsOfStages pruned = pruned_stages(store, &damaged);
  if (damaged > 0)
    throw Error(ErrorKind::store_invalid,
                {"log/pruned.jsonl has " + std::to_string(damaged) + " damaged lines",
                 "what gc removed earlier, without which it cannot see what lies beyond",
                 {},
                 "put the file back from a copy of the store, or delete these lines and with them what lies beyond"});
  ParentsOfStages gone;
  for (const std::string& id : lineage(store, kept))
    if (!kept.contains(id)) gone.emplace(id, parents_of(store, pruned, id).value());
  return gone;
}

/// Stages whose file cannot be read hold nothing that could be read through it, and go with the first.
std::set<std::string> readable_holders(const Store& store, const std::string& id) {
  try {
    return holders_of(store, id);
  } catch (const Error&) {
    return {};
  }
}

/// In the order in which they may go, so that a stop leaves no stage without what it links to: no stage of a layer holds arrays
/// of one in a later layer.
std::vector<std::vector<std::string>> in_layers(const Store& store, const std::vector<std::string>& stages) {
  std::map<std::string, std::set<std::string>> holders;
  for (const std::string& id : stages) holders[id] = readable_holders(store, id);
  std::vector<std::vector<std::string>> layers;
  while (!holders.empty()) {
    std::set<std::string> lending;
    for (const auto& [id, others] : holders) lending.insert(others.begin(), others.end());
    std::vector<std::string>& layer = layers.emplace_back();
    for (const auto& [id, others] : holders)
      if (!lending.contains(id)) layer.push_back(id);
    if (layer.empty())  // a circle, which ids made of contents cannot have
      for (const auto& [id, others] : holders) layer.push_back(id);
    for (const std::string& id : layer) holders.erase(id);
  }
  return layers;
}

}  // namespace

GcReport collect_garbage(const Store& store, const StoreLock& lock, const GcOptions& options) {
  lock.check(store);
  const std::set<std::string> needed =
      options.rules.any() ? retained(store, options.rules) : reachable(store, options.keep_undo);
  const ParentsOfStages between = between_kept(store, needed);
  GcReport report;
  for (const std::string& id : store.stage_ids()) {
    if (needed.contains(id)) continue;
    report.stages.push_back(id);
    report.bytes += disk_bytes(store.stage_path(id));
  }
  for (const std::string& name : files_in(store.root() / "temporary")) {
    report.temporaries.push_back(store.root() / "temporary" / name);
    report.bytes += disk_bytes(report.temporaries.back());
  }
  if (options.dry_run) return report;
  const std::vector<std::vector<std::string>> layers = in_layers(store, report.stages);
  FileOperations& operations = store.operations();
  for (const auto& file : report.temporaries) operations.remove(file);  // first: a full disk may need their room for the notes
  note_pruned(store, lock, between);
  for (const std::vector<std::string>& layer : layers) {
    for (const std::string& id : layer) operations.remove(store.stage_path(id));
    operations.sync_directory(store.root() / "stages");  // removals of one layer may reach the disk in any order
  }
  return report;
}

}  // namespace retain::framework
