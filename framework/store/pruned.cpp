// SPDX-License-Identifier: Apache-2.0
#include "framework/store/pruned.h"

#include <optional>
#include <utility>

#include "framework/base/json.h"
#include "framework/store/digest.h"
#include "framework/store/line_log.h"

namespace retain::framework {
namespace {

std::filesystem::path log_path(const Store& store) { return store.root() / "log" / "pruned.jsonl"; }

std::string id_of(const json::value& value) {
  std::string id(value.as_string());
  if (!is_digest(id)) throw Error(ErrorKind::store_invalid, "\"" + id + "\" is no stage id");
  return id;
}

/// What one gc removed; nothing where the text names no stages.
std::optional<ParentsOfStages> parse(const std::string& text) {
  try {
    ParentsOfStages stages;
    const json::value value = parse_json(text, "the log of pruned stages", ErrorKind::store_invalid);
    for (const auto& [id, named] : value.at("removed").as_object()) {
      std::vector<std::string>& parents = stages[id_of(id)];
      for (const json::value& parent : named.as_array()) parents.push_back(id_of(parent));
    }
    return stages;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

ParentsOfStages pruned_stages(const Store& store, std::size_t* damaged) {
  ParentsOfStages stages;
  for (const std::string& text : read_line_log(log_path(store), damaged)) {
    if (auto removed = parse(text))
      stages.merge(*removed);
    else if (damaged)
      ++*damaged;
  }
  return stages;
}

void note_pruned(const Store& store, const StoreLock& lock, const ParentsOfStages& stages) {
  lock.check(store);
  const ParentsOfStages noted = pruned_stages(store);
  json::object removed;
  for (const auto& [id, parents] : stages)
    if (!noted.contains(id)) removed[id] = json::array(parents.begin(), parents.end());
  if (removed.empty())
    sync_line_log(store, log_path(store));
  else
    append_to_line_log(store, log_path(store), json::serialize(json::object{{"removed", std::move(removed)}}));
}

}  // namespace retain::framework
