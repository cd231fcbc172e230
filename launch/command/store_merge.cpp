// SPDX-License-Identifier: Apache-2.0
// `retain store merge`: task arithmetic, TIES and DARE between stages of one base.
#include <iostream>

#include "framework/store/merge.h"
#include "framework/store/refs.h"
#include "launch/command/store_command.h"
#include "recipes/methods/stage_method.h"

namespace retain::launch {
namespace {

using framework::Store;
using framework::StoreLock;

struct MergeOptions {
  std::string base;
  std::vector<std::string> stages;
  std::string kind = "task_arithmetic";
  std::string sign = "sum";
  framework::MergeSettings settings;
  std::string branch;
};

int merge(const StoreOptions& options, MergeOptions chosen) {
  const Store store = Store::open(options.path);
  const StoreLock lock(store, "retain store merge");
  chosen.settings.kind = framework::merge_kind_from_name(chosen.kind);
  chosen.settings.sign = chosen.sign == "sum" ? framework::SignRule::sum : framework::SignRule::count;
  std::vector<std::string> stages;
  for (const std::string& stage : chosen.stages) stages.push_back(store.resolve(stage));
  const std::string base = store.resolve(chosen.base);
  std::vector<std::string> parents{base};
  parents.insert(parents.end(), stages.begin(), stages.end());
  const std::string id = framework::commit_merge(store, lock, base, stages, chosen.settings, recipes::carried_teaching(store, parents));
  if (!chosen.branch.empty())
    framework::move_ref(store, lock, framework::RefKind::branch, chosen.branch, id, chosen.kind + " on " + chosen.base);
  std::cout << id << '\n';
  return 0;
}

}  // namespace

void add_store_merge(CLI::App& store, const std::shared_ptr<StoreOptions>& options, Action& action) {
  auto chosen = std::make_shared<MergeOptions>();
  CLI::App& command = add_store_command(store, *options, "merge", "One stage from several that were taught from the same base");
  command.add_option("base", chosen->base, "The stage they were taught from")->required();
  command.add_option("stages", chosen->stages, "The stages to merge")->required()->expected(1, -1);
  command.add_option("--kind", chosen->kind, "task_arithmetic, ties, dare or dare_ties")
      ->check(CLI::IsMember(framework::merge_kind_names()));
  command
      .add_option("--weights", chosen->settings.weights,
                  "A weight for every stage (default 1 each); negative takes a task away")
      ->delimiter(',');
  command.add_option("--lambda", chosen->settings.scale, "Multiplies the merged change")->capture_default_str();
  command.add_option("--density", chosen->settings.density, "Share of every change that stays (ties, dare, dare_ties)")
      ->capture_default_str();
  command.add_option("--sign", chosen->sign, "Majority by weighted sum or by count")->check(CLI::IsMember({"sum", "count"}));
  command.add_option("--seed", chosen->settings.seed, "Of DARE's choice");
  command.add_option("--branch", chosen->branch, "Move this branch to the new stage");
  command.callback([=, &action] { run_on_first(action, [=] { return merge(*options, *chosen); }); });
}

}  // namespace retain::launch
