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

std::optional<ParentsOfStages::value_type> parse(const std::string& text) {
  try {
    const json::value value = parse_json(text, "the log of pruned stages", ErrorKind::store_invalid);
    std::vector<std::string> parents;
    for (const json::value& parent : value.at("parents").as_array()) parents.push_back(id_of(parent));
    return ParentsOfStages::value_type(id_of(value.at("id")), std::move(parents));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

ParentsOfStages pruned_stages(const Store& store, std::size_t* damaged) {
  ParentsOfStages stages;
  for (const std::string& text : read_line_log(log_path(store), damaged)) {
    if (auto stage = parse(text))
      stages.insert(std::move(*stage));
    else if (damaged)
      ++*damaged;
  }
  return stages;
}

void note_pruned(const Store& store, const StoreLock& lock, const ParentsOfStages& stages) {
  lock.check(store);
  const ParentsOfStages noted = pruned_stages(store);
  std::vector<std::string> texts;
  for (const auto& [id, parents] : stages)
    if (!noted.contains(id))
      texts.push_back(json::serialize(json::object{{"id", id}, {"parents", json::array(parents.begin(), parents.end())}}));
  if (!texts.empty()) append_to_line_log(store, log_path(store), texts);
}

}  // namespace retain::framework
