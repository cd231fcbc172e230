// SPDX-License-Identifier: Apache-2.0
#include "recipes/study/stage_inspection.h"

#include <algorithm>
#include <map>
#include <utility>

namespace retain::recipes {
namespace {

namespace json = framework::json;

std::int64_t rolled_back_in(const json::object& notes) {
  const json::value* times = notes.if_contains("rolled_back");
  return times ? times->to_number<std::int64_t>() : 0;
}

/// Of the last state that kept within the bounds of the rules that roll back.
std::string good_key(const std::string& key) { return key + "-good"; }

/// How often the stage had been rolled back when it took the step that counts.
std::int64_t times_before(std::int64_t step, const json::array& actions) {
  std::vector<std::int64_t> back_to;
  for (const json::value& action : actions)
    if (const json::value* to = action.as_object().if_contains("to_step")) back_to.push_back(to->to_number<std::int64_t>());
  for (std::size_t times = back_to.size(); times > 0; --times)
    if (step > back_to[times - 1]) return static_cast<std::int64_t>(times);
  return 0;
}

}  // namespace

StageInspection::StageInspection(const std::vector<Watch>& watches, const StageMeasures& measures, parallel::ShardedStore& store,
                                 const framework::Log& log, InspectedStage stage)
    : watches_(watches), measures_(measures), store_(store), log_(log), stage_(std::move(stage)) {}

json::object StageInspection::place(std::int64_t steps, std::int64_t rolled_back) const {
  json::object named{{"taught", stage_.key}, {"steps", steps}};
  if (rolled_back > 0) named["rolled_back"] = rolled_back;
  return named;
}

bool StageInspection::resume(Trainer& trainer) {
  framework::PassedOver passed;
  const auto running = store_.latest_progress(stage_.key, &passed), good = store_.latest_progress(good_key(stage_.key), &passed);
  if (!running && !good) {
    passed.require_readable();
    warn_of_damaged(log_, store_, passed.damaged, stage_.title + " starts over at step 0");
    return false;
  }
  // Of two states the later in the stage's history: what is kept under the other key is then the last good one before it.
  const auto age = [](const parallel::ShardedStore::Progress& state) {
    const json::value* notes = state.inputs.if_contains("notes");
    return std::pair(notes ? rolled_back_in(notes->as_object()) : 0, state.step);
  };
  const bool from_good = good && (!running || age(*good) > age(*running));
  const parallel::ShardedStore::Progress& newest = from_good ? *good : *running;
  warn_of_damaged(log_, store_, passed.damaged, stage_.title + " goes on from step " + std::to_string(newest.step));
  trainer.resume(store_, from_good ? good_key(stage_.key) : stage_.key, newest);
  const json::object& notes = trainer.notes();
  if (notes.empty()) return true;
  rolled_back_ = rolled_back_in(notes);
  rate_factor_ = notes.at("rate_factor").to_number<double>();
  actions_ = notes.at("actions").as_array();
  note(trainer);
  return true;
}

void StageInspection::note(Trainer& trainer) const {
  trainer.set_notes({{"rolled_back", rolled_back_}, {"rate_factor", rate_factor_}, {"actions", actions_}});
  trainer.scale_rates(rate_factor_);
}

void StageInspection::clear(parallel::ShardedStore& store, const std::string& key) {
  store.clear_progress(key);
  store.clear_progress(good_key(key));
}

double StageInspection::figure_of(const Watch& watch, std::int64_t steps, std::int64_t rolled_back, models::Lmm& model) const {
  const json::object named = place(steps, rolled_back);
  if (watch.probe.empty()) return measures_.panel(watch.benchmark, watch.limit, named, model, store_);
  const ProbeSet& probes = measures_.probes();
  return probes
      .read(probes.index_of(watch.probe),
            {named, stage_.title, [&]() -> models::Lmm& { return model; }, stage_.parent, stage_.changed}, store_)
      .value.value();
}

Inspection StageInspection::inspect(std::int64_t steps, Trainer& trainer, models::Lmm& model) {
  const ProbeSet& probes = measures_.probes();
  const std::string where = stage_.title + ", step " + std::to_string(steps);
  for (std::size_t i = 0; i < probes.size(); ++i)
    if (probes.probe(i).steps.holds(steps))
      probes.read(i, {place(steps, rolled_back_), where, [&]() -> models::Lmm& { return model; }, stage_.parent, stage_.changed}, store_);
  bool keep = false;
  for (const Watch& watch : watches_) {
    const bool begins = steps == 0;
    if (!begins && !watch.steps.holds(steps)) continue;
    const double start = figure_of(watch, 0, 0, model);  // kept since the stage began
    keep = keep || watch.action == WatchAction::roll_back;
    if (begins) continue;
    const double figure = figure_of(watch, steps, rolled_back_, model);
    const std::string passed = watch.passed(figure, start);
    if (passed.empty()) continue;
    json::object what{{"step", steps},  {"watch", watch.name}, {"figure", figure},
                      {"start", start}, {"passed", passed},    {"action", name_of(watch.action)}};
    if (act(watch, std::move(what), steps, trainer) == Inspection::finish) return Inspection::finish;
    if (watch.action == WatchAction::roll_back) return Inspection::go_on;
  }
  if (!keep) return Inspection::go_on;
  note(trainer);
  trainer.save(store_, good_key(stage_.key), {stage_.parent});
  return Inspection::go_on;
}

Inspection StageInspection::act(const Watch& watch, json::object what, std::int64_t steps, Trainer& trainer) {
  Inspection verdict = watch.action == WatchAction::stop ? Inspection::finish : Inspection::go_on;
  if (watch.action != WatchAction::stop) rate_factor_ *= watch.factor;
  // Without an intact state to go back to only the rates are lowered; the trainer's warning tells. (One that cannot be read ends the run.)
  if (watch.action == WatchAction::roll_back && trainer.resume(store_, good_key(stage_.key))) {
    const bool tired = rolled_back_ >= watch.most;
    store_.clear_progress(stage_.key);  // of steps that will be done again
    ++rolled_back_;
    what["to_step"] = trainer.next_step();
    if (tired) verdict = Inspection::finish;
  }
  what["rate_factor"] = rate_factor_;
  what["ends_stage"] = verdict == Inspection::finish;
  log_.info(stage_.title + ", step " + std::to_string(steps) + ": rule " + watch.name + ": " + json::serialize(what));
  actions_.push_back(std::move(what));
  note(trainer);
  return verdict;
}

std::vector<framework::StudyStep> StageInspection::kept(std::int64_t total, const json::array& actions) const {
  const ProbeSet& probes = measures_.probes();
  std::map<std::int64_t, framework::StudyStep> steps;
  for (std::size_t i = 0; i < probes.size(); ++i)
    for (const std::int64_t step : probes.probe(i).steps.before(total)) {
      const auto reading = probes.find(i, place(step, times_before(step, actions)), store_);
      if (!reading) continue;  // the stage was taught before it had this probe
      framework::StudyStep& shown = steps[step];
      shown.step = step;
      shown.readings[probes.probe(i).name] = reading->key;
      if (reading->value) shown.probes[probes.probe(i).name] = *reading->value;
    }
  std::vector<framework::StudyStep> in_order;
  for (auto& [step, shown] : steps) in_order.push_back(std::move(shown));
  return in_order;
}

}  // namespace retain::recipes
