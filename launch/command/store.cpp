// SPDX-License-Identifier: Apache-2.0
// `retain store`: looking at a store (log, show, diff, verify); store_change.cpp and store_model.cpp have the rest.
#include <iostream>
#include <set>

#include "framework/store/diff.h"
#include "framework/store/history.h"
#include "framework/store/refs.h"
#include "framework/store/repair.h"
#include "framework/store/stage_reader.h"
#include "framework/store/verify.h"
#include "launch/command/commands.h"
#include "launch/command/store_command.h"
#include "launch/command/store_text.h"

namespace retain::launch {
namespace {

namespace json = framework::json;
using framework::Store;

/// Beside the output, which stays what scripts read.
void warn_of(const std::vector<std::string>& damaged_refs) {
  for (const std::string& message : damaged_refs) std::cerr << message << '\n';
}

/// Stages to list: the history of one name, or of every ref, newest first, each once.
std::vector<std::string> listed(const Store& store, const std::string& name) {
  if (!name.empty()) return framework::ancestry(store, store.resolve(name));
  std::vector<std::string> ids;
  std::set<std::string> seen;
  std::vector<std::string> damaged;
  for (const framework::Ref& ref : framework::refs_of(store, &damaged))
    for (const std::string& id : framework::ancestry(store, ref.stage))
      if (seen.insert(id).second) ids.push_back(id);
  warn_of(damaged);
  return ids;
}

int log(const StoreOptions& options, const std::string& name) {
  const Store store = Store::open(options.path);
  json::array list;
  for (const std::string& id : listed(store, name)) {
    const framework::StageSummary summary = framework::summary_of(store, id);
    if (options.json) {
      list.push_back(stage_json(store, summary));
      continue;
    }
    std::cout << short_id(id) << "  " << title_of(summary.manifest);
    if (const std::string refs = refs_text(store, id); !refs.empty()) std::cout << "  (" << refs << ")";
    std::cout << "  " << size_text(summary.file_bytes);
    for (const std::string& parent : summary.manifest.parents)
      std::cout << (&parent == &summary.manifest.parents.front() ? "  <- " : " + ") << short_id(parent);
    std::cout << '\n';
  }
  if (options.json) std::cout << framework::pretty(list);
  return 0;
}

int log_moves(const StoreOptions& options) {
  const Store store = Store::open(options.path);
  for (const framework::RefMove& move : framework::ref_moves(store))
    std::cout << move.time << "  " << (move.kind == framework::RefKind::tag ? "tag " : "") << move.name << "  "
              << (move.from.empty() ? "-" : short_id(move.from)) << " -> "
              << (move.to.empty() ? "-" : short_id(move.to)) << "  " << move.why << '\n';
  return 0;
}

int show(const StoreOptions& options, const std::string& name) {
  const Store store = Store::open(options.path);
  const framework::StageSummary summary = framework::summary_of(store, store.resolve(name));
  json::object object = stage_json(store, summary);
  if (options.json) {
    object["info"] = summary.manifest.info;
    const auto dependents = framework::dependents_of(store, summary.id);
    object["lends_to"] = json::array(dependents.begin(), dependents.end());
    json::array arrays;
    for (const framework::ArrayEntry& array : summary.manifest.arrays)
      arrays.push_back({{"path", array.spec.path},
                        {"dtype", framework::name_of(array.spec.dtype)},
                        {"shape", json::value_from(array.spec.shape)},
                        {"digest", framework::to_hex(array.digest)},
                        {"holder", array.here() ? summary.id : array.holder}});
    object["arrays"] = std::move(arrays);
    std::cout << framework::pretty(object);
    return 0;
  }
  std::cout << "stage    " << summary.id << "\n         " << title_of(summary.manifest) << '\n';
  if (const std::string refs = refs_text(store, summary.id); !refs.empty()) std::cout << "refs     " << refs << '\n';
  for (const std::string& parent : summary.manifest.parents)
    std::cout << "parent   " << parent << (store.has_stage(parent) ? "" : "  (not in the store)") << '\n';
  std::cout << "costs    " << size_text(summary.file_bytes) << " on disk, " << summary.own_tensors << " of "
            << summary.tensors << " tensors\n"
            << "shares   " << size_text(summary.shared_bytes) << '\n';
  for (const auto& [holder, share] : summary.shares)
    std::cout << "         " << size_text(share.bytes) << ", " << share.tensors << " tensors of " << short_id(holder)
              << "  " << title_of(framework::summary_of(store, holder).manifest) << '\n';
  const auto dependents = framework::dependents_of(store, summary.id);
  std::cout << "lends    to " << dependents.size() << (dependents.size() == 1 ? " stage" : " stages");
  for (const std::string& id : dependents) std::cout << (id == *dependents.begin() ? ": " : ", ") << short_id(id);
  std::cout << "\ninputs   " << framework::pretty(summary.manifest.inputs);
  std::cout << "info     " << framework::pretty(summary.manifest.info);
  return 0;
}

json::object difference_json(const framework::TensorDifference& difference) {
  static constexpr const char* kFates[] = {"same", "changed", "reshaped", "only_in_a", "only_in_b"};
  json::object object;
  object["name"] = difference.name;
  object["fate"] = kFates[static_cast<int>(difference.fate)];
  object["elements"] = difference.distance.elements;
  object["changed"] = difference.distance.changed;
  object["norm"] = difference.distance.norm();
  object["relative"] = difference.distance.relative();
  object["cosine"] = difference.distance.cosine();
  object["largest"] = difference.distance.largest;
  return object;
}

int diff(const StoreOptions& options, const std::string& a, const std::string& b, bool tensors) {
  const Store store = Store::open(options.path);
  const auto differences =
      framework::diff(framework::StageReader(store, store.resolve(a)), framework::StageReader(store, store.resolve(b)));
  const auto shown = tensors ? differences : framework::by_module(differences);
  if (options.json) {
    json::array list;
    for (const auto& difference : shown) list.push_back(difference_json(difference));
    std::cout << framework::pretty(list);
    return 0;
  }
  std::size_t same = 0;
  std::printf("%-52s %12s %12s %12s %12s\n", tensors ? "tensor" : "module", "|B-A|", "|B-A|/|A|", "cosine", "changed");
  for (const auto& difference : shown) {
    const framework::Distance& distance = difference.distance;
    if (difference.fate == framework::TensorFate::same)
      ++same;
    else if (difference.fate == framework::TensorFate::changed)
      std::printf("%-52s %12.5g %12.5g %12.8f %11.2f%%\n", difference.name.c_str(), distance.norm(),
                  distance.relative(), distance.cosine(),
                  distance.elements
                      ? 100.0 * static_cast<double>(distance.changed) / static_cast<double>(distance.elements)
                      : 0.0);
    else
      std::printf("%-52s %s\n", difference.name.c_str(),
                  std::string(difference_json(difference).at("fate").as_string()).c_str());
  }
  std::printf("%zu %s bit-identical\n", same, tensors ? "tensors" : "modules");
  return 0;
}

/// Puts back from another copy of the store what is damaged or gone, then leaves the verdict to verify().
void repair(const StoreOptions& options, const std::string& copy) {
  const Store store = Store::open(options.path);
  const framework::StoreLock lock(store, "retain store verify --repair");
  const framework::RepairReport report = framework::repair(store, lock, Store::open(copy));
  for (const std::string& id : report.restored) std::cerr << "restored stage " << id << " from " << copy << '\n';
  for (const std::string& id : report.irreparable)
    std::cerr << "no intact copy of stage " << id << " in " << copy << '\n';
  warn_of(report.damaged_refs);
}

int verify(const StoreOptions& options, const std::string& copy) {
  if (!copy.empty()) repair(options, copy);
  const Store store = Store::open(options.path);
  const framework::VerifyReport report = framework::verify(store);
  if (options.json) {
    json::object object;
    object["clean"] = report.clean();
    object["stages"] = report.stages;
    object["checkpoints"] = report.checkpoints;
    object["results"] = report.results;
    object["bytes"] = report.bytes;
    object["problems"] = json::array(report.problems.begin(), report.problems.end());
    std::cout << framework::pretty(object);
  } else {
    for (const std::string& problem : report.problems) std::cout << problem << '\n';
    std::cout << (report.clean() ? "clean: " : "DAMAGED: ") << report.stages << " stages, " << report.checkpoints
              << " checkpoints, " << report.results << " results, " << size_text(report.bytes) << " checked";
    if (!report.clean()) std::cout << ", " << report.problems.size() << " problems";
    std::cout << '\n';
  }
  return report.clean() ? 0 : 1;
}

}  // namespace

CLI::App& add_store_command(CLI::App& store, StoreOptions& options, const char* name, const char* help) {
  CLI::App& command = *store.add_subcommand(name, help);
  command.add_option("store", options.path, "The store's folder")->required();
  return command;
}

void run_on_first(Action& action, std::function<int()> work) {
  action = [work = std::move(work)](const Session& session) { return session.is_root() ? work() : 0; };
}

void add_store(CLI::App& app, Action& action) {
  CLI::App& store = *app.add_subcommand("store", "Look at and change a store of stages");
  store.require_subcommand(1);
  auto options = std::make_shared<StoreOptions>();
  auto first = std::make_shared<std::string>();
  auto second = std::make_shared<std::string>();
  auto flag = std::make_shared<bool>(false);

  CLI::App& log_command = add_store_command(store, *options, "log", "List stages, newest first");
  log_command.add_option("stage", *first, "Only this branch, tag or stage and its ancestors");
  log_command.add_flag("--moves", *flag, "List the moves of branches and tags instead");
  log_command.add_flag("--json", options->json, "As JSON");
  log_command.callback(
      [=, &action] { run_on_first(action, [=] { return *flag ? log_moves(*options) : log(*options, *first); }); });

  CLI::App& show_command = add_store_command(store, *options, "show", "What a stage is, costs and shares");
  show_command.add_option("stage", *first, "Branch, tag or stage id")->required();
  show_command.add_flag("--json", options->json, "As JSON, with every array");
  show_command.callback([=, &action] { run_on_first(action, [=] { return show(*options, *first); }); });

  CLI::App& diff_command = add_store_command(store, *options, "diff", "How far apart two stages are");
  diff_command.add_option("a", *first, "Branch, tag or stage id")->required();
  diff_command.add_option("b", *second, "Branch, tag or stage id")->required();
  diff_command.add_flag("--tensors", *flag, "One line a tensor instead of one a module");
  diff_command.add_flag("--json", options->json, "As JSON");
  diff_command.callback([=, &action] { run_on_first(action, [=] { return diff(*options, *first, *second, *flag); }); });

  CLI::App& verify_command = add_store_command(store, *options, "verify",
                                               "Check every byte against its digest; exit status 1 when any differs");
  auto copy = std::make_shared<std::string>();
  verify_command.add_option("--repair", *copy,
                            "Another copy of the store, from which damaged or missing stages are restored first");
  verify_command.add_flag("--json", options->json, "As JSON");
  verify_command.callback([=, &action] { run_on_first(action, [=] { return verify(*options, *copy); }); });

  add_store_changes(store, options, action);
  add_store_merge(store, options, action);
  add_store_export(store, options, action);
}

}  // namespace retain::launch
