// SPDX-License-Identifier: Apache-2.0
// A study whose branches are taught side by side by several groups of ranks.
#include "recipes/study/curriculum.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "framework/base/error.h"

namespace retain::recipes {
namespace {

constexpr std::chrono::minutes kLatest{2};
constexpr std::chrono::milliseconds kRest{200};

}  // namespace

bool Curriculum::teach_side_by_side() {
  const std::vector<PlannedBranch> branches = branches_of(experiment_);
  const StudyTree tree = tree_of(branches);
  SharedWork work(tree.stages, store_->is_author() ? &store_->lock() : nullptr, mesh_.world(), groups_.index(), groups_.count(), stop_);
  work_ = &work;
  try {
    if (work.may_do("base")) {
      measure(store_->resolve("base"), "", "");
      work.done("base");
    }
    while (const auto next = work.next())  // after a stop there is none
      if (teach_shared(work, *next, tree.stages[*next])) show_measured(work, branches, tree);
  } catch (const Stopped&) {
    work.next();  // tells the other groups
  }
  store_->settle();
  mesh_.world().describe_activity("waiting for the other groups");
  log_.info("waiting for the other groups");
  work.wait_for_all();
  const std::vector<bool> measured = work.all_measured();
  work_ = nullptr;
  return std::find(measured.begin(), measured.end(), false) == measured.end();
}

/// False when it was asked to stop.
bool Curriculum::teach_shared(SharedWork& work, std::size_t index, const StudyStage& stage) {
  const PlannedBranch& branch = *stage.branch;
  const std::size_t place = stage.place;
  const std::vector<std::string> before = stages_before(branch, place);
  const std::string key = key_of(branch, place, before.back());
  if (!store_->get_stage(key) && !work.may_do(key)) {
    work.defer(index, key);
    return true;
  }
  for (std::size_t i = 1; i < before.size(); ++i) point_branch(branch.name, before[i], /*goes_on=*/true);
  quiet_ = false;
  const std::optional<Taught> taught = pass(branch, place, before.back());
  if (!taught) return false;
  const auto publish = [&] {
    store_->settle();
    point_branch(branch.name, taught->stage, place + 1 < branch.order->tasks.size());
    work.done(key);
    work.taught(index);
  };
  const bool writing = store_->is_writing(taught->stage);  // measured meanwhile
  if (!writing) publish();
  const std::vector<std::string> readings = readings_of(branch.recipe->method.get());
  for (std::size_t i = 0; i < readings.size(); ++i) measure(taught->stage, "", i == 0 ? "" : readings[i]);
  if (writing) publish();
  work.measured(index);
  return true;
}

std::vector<std::string> Curriculum::stages_before(const PlannedBranch& branch, std::size_t place) {
  quiet_ = true;
  std::vector<std::string> before{store_->resolve("base")};
  while (before.size() <= place) {
    await_kept(key_of(branch, before.size() - 1, before.back()));
    before.push_back(pass(branch, before.size() - 1, before.back())->stage);
  }
  return before;
}

/// What a rank on another host wrote may be seen a while later (NFS keeps names for up to a minute).
void Curriculum::await_kept(const std::string& key) {
  const auto end = std::chrono::steady_clock::now() + kLatest;
  while (!store_->get_stage(key)) {
    if (std::chrono::steady_clock::now() > end)
      throw framework::Error(framework::ErrorKind::store_unknown_stage,
                             {"a stage that another group taught is not in the store", "result " + key, "none for two minutes",
                              "see whether all hosts have the same folder at " + experiment_.store.string()});
    std::this_thread::sleep_for(kRest);
  }
}

void Curriculum::show_measured(SharedWork& work, const std::vector<PlannedBranch>& branches, const StudyTree& tree) {
  if (!work.is_done("base")) return;
  const std::vector<bool> measured = work.all_measured();
  study_.base = measure(store_->resolve("base"), "", "");
  study_.branches.clear();
  for (std::size_t i = 0; i < branches.size(); ++i) {
    const std::vector<std::size_t>& path = tree.paths[i];
    const auto end = std::find_if(path.begin(), path.end(), [&](std::size_t stage) { return !measured[stage]; });
    if (end != path.begin()) go_through(branches[i], static_cast<std::size_t>(end - path.begin()), Walk::show);
  }
  keep_study();
}

}  // namespace retain::recipes
