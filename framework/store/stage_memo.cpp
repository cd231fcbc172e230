// SPDX-License-Identifier: Apache-2.0
#include "framework/store/stage_memo.h"

#include "framework/store/pruned.h"
#include "framework/store/results.h"

namespace retain::framework {
namespace {

/// Empty where the result is none of a stage.
std::string noted_stage(const Store& store, const std::string& key) {
  const auto value = get_result(store, key);
  const json::object* object = value ? value->if_object() : nullptr;
  const json::value* name = object ? object->if_contains("stage") : nullptr;
  return name && name->is_string() ? std::string(name->get_string()) : std::string();
}

std::string again_key(const std::string& key) { return memo_key("again", json::object{{"made", key}}); }

}  // namespace

std::optional<MadeStage> made_stage(const Store& store, const std::string& key) {
  const std::string id = noted_stage(store, key);
  if (store.has_stage(id)) return MadeStage{id, true};
  if (!id.empty() && pruned_stages(store).contains(id)) return MadeStage{id, false};
  return std::nullopt;
}

std::optional<std::string> kept_stage(const Store& store, const std::string& key) {
  const auto first = made_stage(store, key);
  if (!first || first->here) return first ? std::optional(first->id) : std::nullopt;
  const std::string again = noted_stage(store, again_key(key));
  return store.has_stage(again) ? std::optional(again) : std::nullopt;
}

void put_made_stage(const Store& store, const StoreLock& lock, const std::string& key, const std::string& stage) {
  const auto first = made_stage(store, key);
  if (first && first->id == stage) return;
  const std::string place = first && !first->here ? again_key(key) : key;
  // A stage that is gone for good is no reason to refuse another one.
  if (const std::string noted = noted_stage(store, place); !noted.empty() && noted != stage && !store.has_stage(noted))
    remove_result(store, lock, place);
  put_result(store, lock, place, json::object{{"stage", stage}});
}

}  // namespace retain::framework
