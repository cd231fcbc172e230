// SPDX-License-Identifier: Apache-2.0
#include "recipes/study/curriculum.h"

#include <algorithm>
#include <cstdio>

#include "framework/base/memory.h"
#include "framework/base/progress.h"
#include "framework/report/budget.h"
#include "framework/store/history.h"
#include "framework/store/refs.h"
#include "framework/store/results.h"
#include "parallel/agreement.h"
#include "recipes/methods/replay.h"
#include "recipes/methods/stage_method.h"
#include "recipes/planning/dry_run.h"
#include "recipes/planning/memory_check.h"
#include "recipes/planning/plan.h"
#include "recipes/records/picture_digests.h"
#include "recipes/settings/source_settings.h"
#include "recipes/study/base_import.h"
#include "recipes/study/stage_inspection.h"
#include "recipes/study/stage_summary.h"
#include "recipes/training/trainer.h"

namespace retain::recipes {
namespace {

using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;

/// What a taught stage tells of its teaching.
framework::StageDraft draft_of(const TrainOutcome& outcome, const std::string& name, const parallel::Mesh& mesh) {
  framework::StageDraft draft;
  draft.info = {{"name", name}, {"mesh", parallel::to_string(mesh.shape())}, {"skipped_steps", outcome.skipped_steps}};
  if (!outcome.method.empty()) draft.info["method"] = outcome.method;
  return draft;
}

/// Losses of the steps from `first` on, up to `step`, to which a rule may have rolled back.
void cut_losses(json::array& losses, std::int64_t& first, std::int64_t step) {
  first = std::min(first, step);
  losses.resize(std::min(losses.size(), static_cast<std::size_t>(step - first)));
}

std::string step_note(const StepRecord& record) {
  char note[96];
  std::snprintf(note, sizeof note, "loss %.4f  %.0f tok/s", record.loss,
                record.seconds > 0 ? static_cast<double>(record.tokens) / record.seconds : 0.0);
  return note;
}

/// A run goes on beside them.
void warn_of_damaged_refs(const framework::Store& store, const framework::Log& log) {
  std::vector<std::string> damaged;
  framework::refs_of(store, &damaged);
  for (const std::string& message : damaged) log.warn(message);
}

}  // namespace

/// A task with its records read.
struct Curriculum::LoadedTask {
  Task task;
  LoadedRecords records;
};

/// A task as a branch teaches it.
struct Curriculum::Lesson {
  const PlannedBranch& branch;
  std::size_t place;                        ///< in the branch's order
  const Recipe& recipe;
  const LoadedTask& task;
  TrainSettings settings;
  std::vector<const LoadedTask*> replayed;  ///< earlier tasks of the order whose records come in again
};

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

std::unique_ptr<framework::StageReader> Curriculum::open_reference(const Recipe& recipe, const std::string& parent) const {
  if (!recipe.method || recipe.method->reference() == "previous") return nullptr;
  const std::string stage = store_->store().resolve(recipe.method->reference());
  return stage == parent ? nullptr : std::make_unique<framework::StageReader>(store_->store(), stage);
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

std::string Curriculum::key_of(const PlannedBranch& branch, std::size_t place, const std::string& parent) {
  if (branch.recipe->method) store_->settle();  // it may read any stage
  return framework::memo_key("teach", teach_inputs(lesson_of(branch, place), parent, open_reference(*branch.recipe, parent).get()));
}

Curriculum::Lesson Curriculum::lesson_of(const PlannedBranch& branch, std::size_t place) const {
  const std::vector<std::size_t>& order = branch.order->tasks;
  const LoadedTask& task = tasks_.at(order.at(place));
  Lesson lesson{branch, place, *branch.recipe, task, branch.settings(task.task), {}};
  if (lesson.recipe.method && lesson.recipe.method->replayed() > 0)
    for (std::size_t earlier = 0; earlier < place; ++earlier) lesson.replayed.push_back(&tasks_[order[earlier]]);
  return lesson;
}

json::object Curriculum::teach_inputs(const Lesson& lesson, const std::string& parent, const framework::StageReader* reference) const {
  const Recipe& recipe = lesson.recipe;
  const LoadedTask& task = lesson.task;
  json::object inputs{{"step", "teach"}, {"parent", parent}, {"recipe", groups_json(recipe.groups)},
                      {"task", task.task.name}, {"data", task.records.identity.records},
                      {"pictures", task.records.identity.pictures}, {"settings", json::parse(describe_settings(lesson.settings))},
                      {"mode", name_of(experiment_.mode)}, {"dtype", std::string(framework::name_of(experiment_.dtype))}};
  if (recipe.method)
    if (json::object method = recipe.method->describe_stage(lesson.place == 0); !method.empty()) inputs["method"] = std::move(method);
  if (reference) inputs["reference"] = reference->id();
  json::array earlier;
  for (const LoadedTask* other : lesson.replayed)
    earlier.push_back(json::object{{"data", other->records.identity.records}, {"pictures", other->records.identity.pictures}});
  if (!earlier.empty()) inputs["replayed"] = std::move(earlier);
  json::array rules;
  for (const Watch& watch : experiment_.watches) {
    rules.push_back(describe(watch));
    rules.back().as_object()["of"] = watch.probe.empty() ? measures_->describe_panel(watch.benchmark, watch.limit)
                                                         : measures_->probes().describe(measures_->probes().index_of(watch.probe));
  }
  if (!rules.empty()) inputs["watch"] = std::move(rules);
  return inputs;
}

/// As noted when the stage was taught: a stage of an earlier version has no note, and its steps and tokens are unknown.
framework::Budget Curriculum::budget_of(const Lesson& lesson, const std::string& key) {
  framework::Budget budget{std::to_string(lesson.settings.global_batch), 0, 0};
  if (const auto noted = store_->get_result(framework::memo_key("budget", json::object{{"taught", key}}))) {
    budget.steps = noted->at("steps").to_number<std::int64_t>();
    budget.tokens = noted->at("tokens").to_number<std::int64_t>();
  }
  return budget;
}

Curriculum::Taught Curriculum::remember(const std::string& stage, const Lesson& lesson, const std::string& key) {
  Taught taught{stage, budget_of(lesson, key), {}};
  json::array actions;
  if (const auto noted = store_->get_result(framework::memo_key("budget", json::object{{"taught", key}})))
    if (const json::value* acted = noted->as_object().if_contains("actions")) actions = acted->as_array();
  taught.steps = inspection_of(key, lesson, stage).kept(taught.budget.steps, actions);
  return taught;
}

TrainerHooks Curriculum::hooks_of_run() {
  TrainerHooks hooks;
  hooks.stop_requested = [this] { return stop_requested(); };
  hooks.writing = [this] { return store_->busy(); };
  hooks.settle = [this] { store_->settle(); };
  return hooks;
}

StageInspection Curriculum::inspection_of(const std::string& key, const Lesson& lesson, const std::string& parent) const {
  std::set<std::string> trained;
  const Method* method = lesson.recipe.method.get();
  for (const Selected& one : select(extended_table(kit_.table(), method), lesson.recipe.groups, method)) trained.insert(one.name);
  return {experiment_.watches,
          *measures_,
          *store_,
          log_,
          {key, lesson.branch.name + " · " + lesson.task.task.name, parent, std::move(trained)}};
}

std::optional<Curriculum::Taught> Curriculum::teach(const Lesson& lesson, const std::string& parent) {
  const Recipe& recipe = lesson.recipe;
  const LoadedTask& task = lesson.task;
  const std::string& branch = lesson.branch.name;
  const Method* method = recipe.method.get();
  if (method) store_->settle();  // it may read any stage
  const auto reference = open_reference(recipe, parent);
  const json::object inputs = teach_inputs(lesson, parent, reference.get());
  const std::string key = framework::memo_key("teach", inputs);
  const std::string title = branch + " · " + task.task.name;
  if (committing_ == key) store_->settle();
  std::string reason;
  if (const auto known = find_taught(lesson.branch, lesson.place, parent, key, &reason)) {
    if (!quiet_)
      log_.info(title + ": taught before with these inputs, stage " + known->id.substr(0, 10) +
                (known->here ? "" : ", which gc removed since"));
    store_->settle();  // an earlier stage of this branch, whose move comes first
    StageInspection::clear(*store_, key);  // a stop may have come between the commit and this
    return remember(known->id, lesson, key);
  }
  if (!reason.empty()) log_.info(title + ": taught again: " + reason);

  models::Lmm& model = model_->begin_teaching(parent, recipe.method, lesson.settings.seed, task.task.name, lesson.place == 0);
  const auto before = reference ? std::make_unique<framework::StageReader>(store_->store(), parent) : nullptr;
  std::unique_ptr<framework::Progress> bar;
  json::array losses;
  MemoryUse memory{0, planned_[recipe.name]};
  framework::release_freed_pages();
  framework::restart_peak();
  const FeatureUse features_before{model_->features().hits(), model_->features().misses()};
  Trainer* running = nullptr;
  std::int64_t first = 0;
  const auto describe_step = [&](std::int64_t step) {
    mesh_.world().describe_activity("recipe " + branch + ", task " + task.task.name + ", step " + std::to_string(step));
  };
  TrainerHooks hooks = hooks_of_run();
  hooks.on_step = [&](const StepRecord& record) {
    if (mesh_.world().rank() == 0) step_log_->append(record);
    cut_losses(losses, first, record.step);
    losses.emplace_back(record.loss);
    bar->update(record.step + 1, step_note(record));
    describe_step(record.step + 1);
    memory.measured = framework::peak_anonymous_bytes() - memory_before_;
  };
  hooks.save = [&](std::int64_t) { running->save(*store_, key, {parent}); };
  StageInspection inspection = inspection_of(key, lesson, parent);
  hooks.inspect = [&](std::int64_t steps) {
    const Inspection verdict = inspection.inspect(steps, *running, model);
    if (running->next_step() < steps && mesh_.world().rank() == 0) step_log_->begin_stage(branch, task.task.name, running->next_step());
    return verdict;
  };
  std::vector<const SampleSource*> earlier;
  for (const LoadedTask* other : lesson.replayed) earlier.push_back(other->records.samples.get());
  const ReplaySamples samples(*task.records.samples, earlier, earlier.empty() ? 0 : method->replayed(),
                              lesson.settings.seed, task.task.name);
  Trainer trainer(model, samples, lesson.settings, recipe.groups, log_, hooks, experiment_.bad_records, task.task.name,
                  {method, reference.get(), before.get()});
  running = &trainer;
  announce(lesson, model.table(), trainer.selected());
  if (inspection.resume(trainer)) log_.info(title + " goes on from step " + std::to_string(trainer.next_step()));
  first = trainer.next_step();
  if (mesh_.world().rank() == 0) step_log_->begin_stage(branch, task.task.name, first);
  bar = std::make_unique<framework::Progress>(groups_.count() == 1 ? title : mesh_.world().name() + ": " + title,
                                              trainer.total_steps(), mesh_.world().rank() == 0);
  describe_step(first);
  const TrainOutcome outcome = trainer.run();
  cut_losses(losses, first, outcome.next_step);
  bar->finish();
  const FeatureUse features_here{model_->features().hits() - features_before.reused,
                                 model_->features().misses() - features_before.computed};
  log_.info(title + ": " +
            stage_summary(mesh_.world(), outcome, features_here,
                          backward_work(kit_.config(), model.table(), trainer.selected()), memory));
  if (!outcome.finished) {
    log_.info("stopped and saved at step " + std::to_string(outcome.next_step) + "; the same command goes on from there");
    return std::nullopt;
  }

  framework::StageDraft draft = draft_of(outcome, recipe.name + "/" + task.task.name, mesh_);
  draft.parents = {parent};
  draft.inputs = inputs;
  draft.info["losses_from_step"] = first;
  draft.info["losses"] = std::move(losses);
  if (!inspection.actions().empty()) draft.info["watch"] = inspection.actions();
  if (!outcome.method.empty()) log_.info(title + ": " + json::serialize(outcome.method));
  json::object budget{{"steps", outcome.next_step}, {"tokens", trainer.tokens_of(outcome.next_step)}};
  if (!inspection.actions().empty()) budget["actions"] = inspection.actions();
  store_->put_result(framework::memo_key("budget", json::object{{"taught", key}}), budget);
  return remember(commit(model, std::move(draft), key, lesson), lesson, key);
}

void Curriculum::announce(const Lesson& lesson, const parallel::ParameterTable& table, const std::vector<Selected>& selected) {
  const Recipe& recipe = lesson.recipe;
  if (!announced_.insert(recipe.name).second) return;
  log_.info("recipe " + recipe.name + "\n" +
            trainable_table(kit_.config(), table, selected, recipe.groups, lesson.settings, mesh_.shape()));
}

std::string Curriculum::commit(models::Lmm& model, framework::StageDraft draft, const std::string& key, const Lesson& lesson) {
  const Recipe& recipe = lesson.recipe;
  const std::string& task = lesson.task.task.name;
  mesh_.world().describe_activity("committing recipe " + lesson.branch.name + ", task " + task);
  std::set<std::string> changed;
  if (recipe.method)
    for (std::string& name : recipe.method->changed(model.table())) changed.insert(std::move(name));
  else
    for (const Selected& parameter : select(model.table(), recipe.groups)) changed.insert(parameter.name);
  const auto arrays = parallel::arrays_of(model.table(), model.parameters(),
                                          [&](const std::string& name) { return changed.contains(name); });
  committing_ = key;
  const bool again = store_->made_stage(key).has_value();  // its branch has been there: run() decides whether it moves
  const std::string message = lesson.branch.name + " learned " + task;
  const std::string stage = store_->commit(std::move(draft), arrays, again ? "" : lesson.branch.name, message,
                                           [this, key](const std::string& written) {
                                             store_->put_stage(key, written);
                                             StageInspection::clear(*store_, key);
                                             committing_.clear();
                                           });
  model_->becomes(stage);
  if (recipe.method || again) store_->settle();  // a method may read what was written; a branch can go to what is there
  if (recipe.method && !recipe.method->keeps_own_parameters()) model_->release();
  return stage;
}

void Curriculum::keep_study() {
  if (!store_->is_author()) return;
  const framework::Store& store = store_->store();
  framework::write_atomically(store.operations(), store.root() / store.temporary_name("study"), store.root() / "study.json",
                              framework::pretty(framework::to_json(study_)));
}

}  // namespace retain::recipes
