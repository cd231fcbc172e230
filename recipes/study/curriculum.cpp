// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "framework/base/memory.h"
#include "framework/report/budget.h"
#include "framework/store/history.h"
#include "framework/store/refs.h"
#include "framework/store/results.h"
#include "parallel/agreement.h"
#include "recipes/planning/dry_run.h"
#include "recipes/planning/memory_check.h"
#include "recipes/planning/plan.h"
#include "recipes/records/picture_digests.h"
#include "recipes/settings/source_settings.h"
#include "recipes/study/base_import.h"
#include "recipes/study/curriculum_lesson.h"

namespace retain::recipes {
namespace {

/// A run goes on beside them.
void warn_of_damaged_refs(const framework::Store& store, const framework::Log& log) {
  std::vector<std::string> damaged;
  framework::refs_of(store, &damaged);
  for (const std::string& message : damaged) log.warn(message);
}

}  // namespace

Curriculum::Curriculum(const Experiment& experiment, const parallel::RankGroups& groups, const parallel::Mesh& mesh,
                       const framework::Log& log, const std::atomic<bool>& stop)
    : experiment_(experiment),
      groups_(groups),
      mesh_(mesh),
      log_(log),
      stop_(stop),
      kit_(experiment.model, mesh, experiment.dtype, label_mode(experiment)),
      memory_before_(framework::anonymous_bytes()) {
  PictureDigests pictures(groups.all());
  for (const Recipe& recipe : experiment.recipes) {
    const parallel::ParameterTable table = extended_table(kit_.table(), recipe.method.get());
    select(table, recipe.groups, recipe.method.get());  // refuses a pattern that matches nothing
    if (recipe.method) recipe.method->check(kit_.config(), table);
  }
  for (const Task& task : experiment.tasks) {
    framework::RecordSet records = load_records(task);
    check_task_records(records, experiment.bad_records);
    tasks_.push_back({task, look_at(std::move(records), kit_, experiment, pictures)});
  }
  measures_ = std::make_unique<StageMeasures>(experiment, kit_, pictures);
  plan_memory();
  store_ = std::make_unique<parallel::ShardedStore>(experiment.store, mesh, groups, "retain run " + experiment.file.string());
  const bool author = store_->is_author();
  if (groups.all().rank() == 0) warn_of_damaged_refs(store_->store(), log);
  step_log_ = std::make_unique<StepLog>(author ? experiment.log : std::filesystem::path(), author ? &store_->lock() : nullptr);
  for (const Recipe& recipe : experiment.recipes)
    for (const std::string& stage : recipe.method ? recipe.method->stages() : std::vector<std::string>{})
      if (stage != "previous" && stage != "base") store_->resolve(stage);
  store_->write_in_background(experiment.store_asynchronous);
  model_ = std::make_unique<StageModel>(kit_, *store_, experiment, log);
  study_.title = experiment.file.stem().string();
  study_.mode = name_of(experiment.mode);
  study_.parameters = kit_.table().elements();
  study_.benchmarks = measures_->benchmarks();
}

Curriculum::~Curriculum() = default;

std::string Curriculum::import_base() {
  const std::string key = framework::memo_key("base", identity_of(kit_.directory()));
  std::string stage;
  if (const auto known = store_->get_stage(key)) stage = *known;
  if (stage.empty()) {
    mesh_.world().describe_activity("importing the base model");
    log_.info("importing " + kit_.directory().string() + " into " + experiment_.store.string());
    if (store_->is_author()) stage = write_base(store_->store(), store_->lock(), kit_.directory(), *kit_.open_weights());
    stage = mesh_.world().broadcast_text(stage, 0);
    store_->put_stage(key, stage);
  }
  point_branch("base", stage);
  return stage;
}

void Curriculum::point_branch(const std::string& branch, const std::string& stage, bool goes_on) {
  if (!store_->is_author()) return;
  if (goes_on && !store_->store().has_stage(stage)) return;
  const auto ref = framework::find_ref(store_->store(), branch);
  if (ref && goes_on) {
    const std::vector<std::string> passed = framework::lineage(store_->store(), ref->stage);
    if (std::find(passed.begin(), passed.end(), stage) != passed.end()) return;
  }
  if (!ref || ref->stage != stage)
    framework::move_ref(store_->store(), store_->lock(), framework::RefKind::branch, branch, stage, "retain run");
}

/// What every recipe will need here, refused where a node lacks it.
void Curriculum::plan_memory() {
  if (experiment_.tasks.empty()) return;
  const SampleSizes sizes = look_at_tasks(experiment_, kit_.config());
  const parallel::MeshPosition& place = mesh_.position();
  std::int64_t most = 0;
  for (const Recipe& recipe : experiment_.recipes) {
    planned_[recipe.name] = plan_rank(experiment_, kit_.config(), sizes, recipe, mesh_.shape(), place.pipeline, place.tensor).total();
    most = std::max(most, planned_[recipe.name]);
  }
  require_memory(groups_.all(), most);
}

bool Curriculum::run() {
  if (groups_.index() == 0) measures_->probes().prepare(import_base(), *model_, *store_);
  groups_.all().barrier();
  if (groups_.index() > 0) measures_->probes().prepare(store_->resolve("base"), *model_, *store_);
  bool finished = groups_.count() == 1 || teach_side_by_side();
  if (finished && groups_.index() == 0) finished = go_through_all();
  store_->settle();
  groups_.all().barrier();
  return finished;
}

/// The branches, one after another. False when it was asked to stop.
bool Curriculum::go_through_all() try {
  study_.base = measure(store_->resolve("base"), "", "");
  if (groups_.count() == 1) keep_study();
  study_.branches.clear();
  for (const PlannedBranch& branch : branches_of(experiment_))
    if (!go_through(branch, branch.order->tasks.size(), groups_.count() == 1 ? Walk::teach : Walk::point)) return false;
  if (groups_.count() > 1) keep_study();
  return true;
} catch (const Stopped&) {
  return false;
}

void Curriculum::heed_stop() const {
  if (!parallel::anyone(mesh_.world(), stop_requested())) return;
  log_.info("stopped while measuring; what was measured is kept, and the same command goes on from there");
  throw Stopped{};
}

framework::StudyPoint Curriculum::measure(const std::string& stage, const std::string& task, const std::string& reading) {
  const std::string name = stage + "/" + reading;
  if (!measured_.contains(name)) measured_[name] = measures_->measure(stage, task, reading, *model_, *store_, [this] { heed_stop(); });
  framework::StudyPoint point = measured_.at(name);
  point.task = task;
  return point;
}

bool Curriculum::go_through(const PlannedBranch& branch, std::size_t places, Walk walk) {
  const Recipe& recipe = *branch.recipe;
  quiet_ = walk != Walk::teach;
  std::int64_t trained = 0;
  const parallel::ParameterTable table = extended_table(kit_.table(), recipe.method.get());
  for (const Selected& parameter : select(table, recipe.groups, recipe.method.get())) trained += table.find(parameter.name)->elements();
  const std::vector<std::string> readings = readings_of(recipe.method.get());
  const std::size_t first_branch = study_.branches.size();
  for (const std::string& reading : readings) {
    const std::string ending = reading.empty() ? "" : " (" + reading + ")";
    framework::StudyBranch shown{recipe.name + ending, trained, {}};
    shown.name = branch.name + ending;
    if (experiment_.study.orders.size() > 1) shown.order = branch.order->name;
    if (branch.seed) shown.seed = static_cast<std::int64_t>(*branch.seed);
    study_.branches.push_back(std::move(shown));
  }
  std::string stage = store_->resolve("base");
  for (std::size_t place = 0; place < places; ++place) {
    const std::optional<Taught> taught = pass(branch, place, stage);
    if (!taught) return false;
    stage = taught->stage;
    if (walk != Walk::show && !store_->is_writing(stage)) point_branch(branch.name, stage, place + 1 < branch.order->tasks.size());
    for (std::size_t i = 0; i < readings.size(); ++i) {
      framework::StudyBranch& shown = study_.branches[first_branch + i];
      shown.stages.push_back(measure(stage, experiment_.tasks[branch.order->tasks[place]].name, i == 0 ? "" : readings[i]));
      shown.stages.back().steps = taught->steps;
      shown.stages.back().last_step = taught->budget.steps;
      shown.budget = framework::with_stage(shown.budget, taught->budget);
    }
    if (walk == Walk::teach) keep_study();
  }
  return true;
}

std::optional<Curriculum::Taught> Curriculum::pass(const PlannedBranch& branch, std::size_t place, const std::string& parent) {
  std::optional<Taught> taught = teach(lesson_of(branch, place), parent);
  if (taught && branch.recipe->method) taught->stage = settle(branch, place, parent, taught->stage);
  return taught;
}

void Curriculum::keep_study() {
  if (!store_->is_author()) return;
  const framework::Store& store = store_->store();
  framework::write_atomically(store.operations(), store.root() / store.temporary_name("study"), store.root() / "study.json",
                              framework::pretty(framework::to_json(study_)));
}

}  // namespace retain::recipes
