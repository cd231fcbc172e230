// SPDX-License-Identifier: Apache-2.0
#include "recipes/planning/schedule_plan.h"

#include "framework/base/error.h"
#include "recipes/training/schedule.h"

namespace retain::recipes {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;

json::array stage_schedules(const Experiment& experiment, const Recipe& recipe, const RecordCounts& counts) {
  json::array stages;
  for (const Task& task : experiment.tasks) {
    const TrainSettings settings = recipe.settings(task.settings);
    const json::object described = json::parse(describe_settings(settings)).as_object();
    json::object stage{{"task", task.name}, {"records", nullptr}, {"steps", nullptr}, {"warmup_steps", nullptr}};
    if (const std::optional<std::int64_t> records = counts.at(task.name)) {
      const std::int64_t steps = optimizer_steps(settings, *records);
      if (steps == 0)
        throw Error(ErrorKind::data_empty,
                    {"task " + task.name + " has no whole global batch",
                     std::to_string(settings.global_batch) + " usable records at least", std::to_string(*records),
                     "lower train.global_batch, or set train.drop_last = false"});
      stage["records"] = *records;
      stage["steps"] = steps;
      stage["warmup_steps"] = warmup_steps(settings.warmup_ratio, steps);
    }
    for (const char* key : {"global_batch", "epochs", "schedule", "weight_decay", "clip"}) stage[key] = described.at(key);
    json::array rates;
    for (const TrainableGroup& group : recipe.groups)
      rates.emplace_back(group.learning_rate > 0 ? group.learning_rate : settings.learning_rate);
    stage["learning_rates"] = std::move(rates);
    stages.push_back(std::move(stage));
  }
  return stages;
}

json::object study_json(const Experiment& experiment) {
  json::array list;
  const std::vector<PlannedBranch> branches = branches_of(experiment);
  std::size_t stages = 0;
  for (const PlannedBranch& branch : branches) {
    json::array order;
    for (const std::size_t task : branch.order->tasks) order.emplace_back(experiment.tasks[task].name);
    stages += branch.order->tasks.size();
    list.push_back(json::object{{"name", branch.name}, {"recipe", branch.recipe->name}, {"order", std::move(order)},
                                {"seed", branch.seed ? json::value(*branch.seed) : json::value(nullptr)}});
  }
  return {{"branches", std::move(list)}, {"stages", stages}, {"distinct", tree_of(branches).stages.size()},
          {"concurrent_branches", experiment.study.concurrent_branches}};
}

}  // namespace retain::recipes
