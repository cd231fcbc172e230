// SPDX-License-Identifier: Apache-2.0
// One stage: what it is remembered by, its teaching, and its commit.
#include <algorithm>
#include <cstdio>

#include "framework/base/memory.h"
#include "framework/base/progress.h"
#include "framework/store/results.h"
#include "recipes/methods/replay.h"
#include "recipes/methods/stage_method.h"
#include "recipes/study/curriculum_lesson.h"
#include "recipes/study/stage_summary.h"
#include "recipes/training/trainer.h"

namespace retain::recipes {
namespace {

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

}  // namespace

std::unique_ptr<framework::StageReader> Curriculum::open_reference(const Recipe& recipe, const std::string& parent) const {
  if (!recipe.method || recipe.method->reference() == "previous") return nullptr;
  const std::string stage = store_->store().resolve(recipe.method->reference());
  return stage == parent ? nullptr : std::make_unique<framework::StageReader>(store_->store(), stage);
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

}  // namespace retain::recipes
