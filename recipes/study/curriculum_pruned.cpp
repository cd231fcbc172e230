// SPDX-License-Identifier: Apache-2.0
// Stages whose files gc removed: they count as taught for as long as nobody needs their weights.
#include "recipes/study/curriculum.h"

#include <utility>

namespace retain::recipes {

using framework::MadeStage;

std::optional<MadeStage> Curriculum::find_taught(const PlannedBranch& branch, std::size_t place,
                                                 const std::string& parent, const std::string& key,
                                                 std::string* reason) {
  const std::optional<MadeStage> made = store_->made_stage(key);
  if (!made || made->here) return made;
  const std::string needed = needed_for(branch, place, parent, *made);
  if (needed.empty()) return made;
  if (const auto again = store_->get_stage(key)) return MadeStage{*again, true};
  if (reason) *reason = "stage " + made->id.substr(0, 10) + " was removed by gc and is needed: " + needed;
  return std::nullopt;
}

std::string Curriculum::needed_for(const PlannedBranch& branch, std::size_t place, std::string parent, MadeStage taught) {
  const std::vector<std::size_t>& order = branch.order->tasks;
  for (;; ++place) {
    const std::optional<MadeStage> settled = find_settled(branch, parent, taught);
    if (!settled) return "what is made of it is not there";
    if (settled->here) return {};
    if (place + 1 >= order.size()) return "branch " + branch.name + " ends with it";
    for (const std::string& reading : readings_of(branch.recipe->method.get()))
      if (!measures_->are_kept(settled->id, reading, *store_)) return "not all of its measures are kept";
    const std::optional<MadeStage> next = store_->made_stage(key_of(branch, place + 1, settled->id));
    if (!next) return "branch " + branch.name + " goes on from it with task " + experiment_.tasks[order[place + 1]].name;
    parent = settled->id;
    taught = *next;
  }
}

std::optional<MadeStage> Curriculum::find_settled(const PlannedBranch& branch, const std::string& parent, const MadeStage& taught) {
  const Method* method = branch.recipe->method.get();
  const std::string key = method ? method->settled_key(*store_, {store_->resolve("base"), parent, taught.id}) : std::string();
  return key.empty() ? taught : store_->made_stage(key);
}

std::string Curriculum::settle(const PlannedBranch& branch, std::size_t place, const std::string& parent, const std::string& taught) {
  const std::optional<MadeStage> settled = find_settled(branch, parent, {taught, true});
  if (settled && !settled->here && needed_for(branch, place, parent, {taught, true}).empty()) return settled->id;
  return branch.recipe->method->settle(*store_, mesh_, {store_->resolve("base"), parent, taught});
}

}  // namespace retain::recipes
