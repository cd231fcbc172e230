// SPDX-License-Identifier: Apache-2.0
// `retain store` rollback, blend, tag and gc: what moves refs, adds stages or removes them.
#include <iostream>

#include "framework/store/blend.h"
#include "framework/store/gc.h"
#include "framework/store/refs.h"
#include "launch/command/store_command.h"
#include "launch/command/store_text.h"
#include "recipes/methods/stage_method.h"

namespace retain::launch {
namespace {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;
using framework::RefKind;
using framework::Store;
using framework::StoreLock;

/// Where the branch stood before its last move.
std::string before_last_move(const Store& store, const std::string& branch) {
  const auto moves = framework::ref_moves(store);
  for (auto move = moves.rbegin(); move != moves.rend(); ++move)
    if (move->kind == RefKind::branch && move->name == branch && !move->from.empty()) return move->from;
  throw Error(ErrorKind::store_unknown_stage,
              {"branch " + branch + " has not been moved", "an earlier place in the log", "none", {}});
}

int rollback(const StoreOptions& options, const std::string& branch, const std::string& target, bool undo) {
  const Store store = Store::open(options.path);
  const StoreLock lock(store, "retain store rollback");
  const std::string stage =
      undo ? before_last_move(store, branch) : store.resolve(target.empty() ? branch + "~1" : target);
  framework::move_ref(store, lock, RefKind::branch, branch, stage, undo ? "undo" : "rollback");
  std::cout << branch << " -> " << stage << '\n';
  return 0;
}

int blend(const StoreOptions& options, const std::string& a, const std::string& b, double alpha,
          const std::string& branch) {
  const Store store = Store::open(options.path);
  const StoreLock lock(store, "retain store blend");
  const std::string first = store.resolve(a), second = store.resolve(b);
  const std::string id = framework::commit_blend(store, lock, first, second, alpha, recipes::carried_teaching(store, {first, second}));
  if (!branch.empty()) framework::move_ref(store, lock, RefKind::branch, branch, id, "blend of " + a + " and " + b);
  std::cout << id << '\n';
  return 0;
}

int tag(const StoreOptions& options, const std::string& name, const std::string& stage, bool remove) {
  const Store store = Store::open(options.path);
  const StoreLock lock(store, "retain store tag");
  if (remove) {
    framework::remove_ref(store, lock, RefKind::tag, name, "tag --delete");
    return 0;
  }
  const std::string id = store.resolve(stage);
  framework::move_ref(store, lock, RefKind::tag, name, id, "tag");
  std::cout << name << " -> " << id << '\n';
  return 0;
}

int gc(const StoreOptions& options, bool dry_run, bool forget, const framework::RetentionRules& rules) {
  const Store store = Store::open(options.path);
  const StoreLock lock(store, "retain store gc");
  const framework::GcReport report = framework::collect_garbage(store, lock, {dry_run, !forget, rules});
  if (options.json) {
    json::array files;
    for (const auto& file : report.temporaries) files.emplace_back(file.string());
    std::cout << framework::pretty(json::object{{"dry_run", dry_run},
                                                {"stages", json::array(report.stages.begin(), report.stages.end())},
                                                {"temporaries", std::move(files)},
                                                {"bytes", report.bytes}});
    return 0;
  }
  for (const std::string& id : report.stages) std::cout << "stage " << id << '\n';
  for (const auto& file : report.temporaries) std::cout << "left over " << file.string() << '\n';
  std::cout << (dry_run ? "would free " : "freed ") << size_text(report.bytes) << '\n';
  return 0;
}

}  // namespace

void add_store_changes(CLI::App& store, const std::shared_ptr<StoreOptions>& options, Action& action) {
  auto first = std::make_shared<std::string>();
  auto second = std::make_shared<std::string>();
  auto branch = std::make_shared<std::string>();
  auto flag = std::make_shared<bool>(false);
  auto other_flag = std::make_shared<bool>(false);
  auto alpha = std::make_shared<double>(0.5);

  CLI::App& rollback_command =
      add_store_command(store, *options, "rollback", "Move a branch to an earlier stage; nothing is lost");
  rollback_command.add_option("branch", *first, "The branch to move")->required();
  rollback_command.add_option("stage", *second, "Where to (default: the stage before)");
  rollback_command.add_flag("--undo", *flag, "Back to where the branch stood before its last move");
  rollback_command.callback(
      [=, &action] { run_on_first(action, [=] { return rollback(*options, *first, *second, *flag); }); });

  CLI::App& blend_command =
      add_store_command(store, *options, "blend", "WiSE-FT: a new stage alpha * A + (1 - alpha) * B");
  blend_command.add_option("a", *first, "The earlier stage (weight alpha)")->required();
  blend_command.add_option("b", *second, "The fine-tuned stage (weight 1 - alpha)")->required();
  blend_command.add_option("--alpha", *alpha, "Weight of A, 0 to 1")->required();
  blend_command.add_option("--branch", *branch, "Move this branch to the new stage");
  blend_command.callback(
      [=, &action] { run_on_first(action, [=] { return blend(*options, *first, *second, *alpha, *branch); }); });

  CLI::App& tag_command = add_store_command(store, *options, "tag", "Give a stage a name that does not move");
  tag_command.add_option("name", *first, "The tag")->required();
  tag_command.add_option("stage", *second, "Branch, tag or stage id");
  tag_command.add_flag("--delete", *flag, "Remove the tag");
  tag_command.callback([=, &action] { run_on_first(action, [=] { return tag(*options, *first, *second, *flag); }); });

  CLI::App& gc_command = add_store_command(
      store, *options, "gc", "Remove stages that no branch, tag or checkpoint needs, and leftovers of stops");
  gc_command.add_flag("--dry-run", *flag, "Only say what would go");
  gc_command.add_flag("--forget", *other_flag,
                      "Also what only the log of moves remembers (rollbacks can then no longer be undone)");
  auto rules = std::make_shared<framework::RetentionRules>();
  gc_command.add_option("--keep-last", rules->last, "Of every branch only the newest N stages")->check(CLI::PositiveNumber);
  gc_command.add_option("--keep-every", rules->every, "and each N-th from the base")->check(CLI::PositiveNumber);
  gc_command.add_option("--keep-best", rules->best, "and the best by this benchmark, or by held_out, the mean of those");
  gc_command.add_flag("--json", options->json, "As JSON");
  gc_command.callback([=, &action] { run_on_first(action, [=] { return gc(*options, *flag, *other_flag, *rules); }); });
}

}  // namespace retain::launch
