// SPDX-License-Identifier: Apache-2.0
#include "recipes/planning/dry_run.h"

#include <set>

#include "framework/data/record_set.h"
#include "framework/image/decode.h"
#include "framework/image/processor.h"
#include "framework/text/tokenizer.h"
#include "models/lmm/family.h"
#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"
#include "parallel/rank_groups.h"
#include "recipes/evaluation/evaluator.h"
#include "recipes/planning/schedule_plan.h"
#include "recipes/settings/source_settings.h"
#include "recipes/training/schedule.h"
#include "recipes/training/trainable_table.h"

namespace retain::recipes {
namespace {

using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;

/// The error of an image whose header cannot be read.
std::optional<Error> probe_image(const framework::Picture& picture) {
  try {
    framework::read_size(picture);
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

json::object check_task(const Experiment& experiment, const Task& task) {
  const auto records = load_records(task);
  const framework::CheckReport report = check_task_records(records, experiment.bad_records);
  json::array faults;
  for (const framework::RecordFault& fault : report.faults) faults.emplace_back(fault.error.what());
  const auto usable = static_cast<std::int64_t>(report.usable.size());
  const std::int64_t steps = optimizer_steps(task.settings, usable);
  if (steps == 0)
    throw Error(ErrorKind::data_empty,
                {"task " + task.name + " has no whole global batch",
                 std::to_string(task.settings.global_batch) + " usable records at least", std::to_string(usable),
                 "lower train.global_batch, or set train.drop_last = false"});
  return {{"name", task.name}, {"records", records.size()}, {"usable", usable}, {"steps", steps},
          {"global_batch", task.settings.global_batch}, {"digest", records.digest()}, {"faults", std::move(faults)}};
}

/// The same of a task whose data is not there.
json::object stated_task(const Task& task, json::array& notes) {
  json::object stated{{"name", task.name}, {"records", nullptr}, {"usable", nullptr}, {"steps", nullptr},
                      {"global_batch", task.settings.global_batch}, {"digest", nullptr}, {"faults", json::array()}};
  if (task.records > 0) {
    stated["records"] = task.records;
    stated["usable"] = task.records;
    stated["steps"] = optimizer_steps(task.settings, task.records);
    notes.emplace_back("task " + task.name + ": " + task.train.string() + " is not there; " +
                       std::to_string(task.records) + " records as stated");
  } else {
    notes.emplace_back("task " + task.name + ": " + task.train.string() + " is not there and `records` is not set; its steps are unknown");
  }
  return stated;
}

json::object benchmark_json(const Benchmark& benchmark, bool counted) {
  json::object described{{"name", benchmark.name},
                         {"questions", nullptr},
                         {"metric", benchmark.scoring.metric},
                         {"kind", name_of(benchmark.kind)}};
  if (counted) described["questions"] = read_questions(benchmark).size();
  return described;
}

json::array kinds_json(const Recipe& recipe, const parallel::ParameterTable& table, const std::vector<Selected>& selected,
                       const TrainSettings& settings) {
  json::array kinds;
  for (const ParameterKind& kind : kinds_of(table, selected)) {
    const double own = recipe.groups.at(kind.group).learning_rate;
    kinds.push_back(json::object{{"name", kind.name}, {"tensors", kind.tensors}, {"elements", kind.elements},
                                 {"learning_rate", own > 0 ? own : settings.learning_rate}});
  }
  return kinds;
}

/// Tokenizer and processor, which a model alone may lack.
void check_companions(const Experiment& experiment, const models::LmmConfig& config, bool required, json::array& notes) {
  const auto has = [&](const char* name) { return std::filesystem::exists(experiment.model / name); };
  if (required || has("tokenizer.json") || has("vocab.json")) framework::Tokenizer::load(experiment.model);
  else notes.emplace_back("no tokenizer: the model alone was checked");
  if (!framework::has_processor_file(experiment.model))
    notes.emplace_back("no processor file: the model's configuration says how pictures are cut");
  models::family_of(config).make_pictures(experiment.model, config, framework::AlphaMode::white);
}

json::object recipe_plan(const Recipe& recipe, const models::LmmConfig& config,
                         const parallel::ParameterTable& model_table, const TrainSettings& settings,
                         const parallel::MeshShape& shape,
                         std::map<std::string, std::vector<std::string>>& trained_by) {
  const parallel::ParameterTable table = extended_table(model_table, recipe.method.get());
  const std::vector<Selected> selected = select(table, recipe.groups, recipe.method.get());
  if (recipe.method) recipe.method->check(config, table);
  std::int64_t elements = 0;
  for (const Selected& one : selected) {
    elements += table.find(one.name)->elements();
    trained_by[one.name].push_back(recipe.name);
  }
  json::array ranks;
  for (int stage = 0; stage < shape.pipeline; ++stage)
    for (int tensor = 0; tensor < shape.tensor; ++tensor) {
      const RankBytes bytes = rank_bytes(table, selected, settings, shape, stage, tensor);
      ranks.push_back(json::object{{"pipeline_stage", stage}, {"tensor", tensor}, {"weights", bytes.weights},
                                   {"gradients", bytes.gradients}, {"optimizer", bytes.optimizer}});
    }
  return {{"name", recipe.name}, {"tensors", selected.size()}, {"trained", elements},
          {"method", recipe.method ? json::value(recipe.method->describe()) : json::value(nullptr)},
          {"kinds", kinds_json(recipe, table, selected, settings)}, {"bytes_by_rank", std::move(ranks)}};
}

json::object parameter_json(const parallel::ParameterSpec& row, const std::vector<std::string>& trained_by) {
  return {{"name", row.name}, {"shape", json::value_from(row.shape)}, {"dtype", std::string(framework::name_of(row.dtype))},
          {"cut_dimension", row.cut_dimension}, {"cut_blocks", row.cut_blocks}, {"pipeline_stages", json::value_from(row.pipeline_stages)},
          {"trained_by", json::value_from(trained_by)}};
}

}  // namespace

framework::CheckReport check_task_records(const framework::RecordSet& records, OnBad bad_records) {
  framework::CheckOptions options;
  options.policy = bad_records == OnBad::stop ? framework::BadRecordPolicy::fatal : framework::BadRecordPolicy::skip;
  options.probe_image = probe_image;
  return framework::check_records(records, options);
}

json::object dry_run(const Experiment& experiment, parallel::Communicator& world, DryRunDepth depth) {
  if (experiment.model.empty())
    throw Error(ErrorKind::config_invalid, {"model.path is not set", "a model directory", "nothing",
                                            "name it in [model] or with --set model.path=DIR"});
  const int ranks = parallel::group_size(world.size(), experiment.study.concurrent_branches);
  const parallel::MeshShape shape = parallel::mesh_for(ranks, experiment.tensor, experiment.pipeline);
  const models::LmmConfig config = models::read_config(experiment.model);
  const auto table = models::build_table(config, shape.tensor, models::partition_for(config, shape.pipeline), experiment.dtype);
  const bool everything = depth == DryRunDepth::everything;
  if (everything) {
    const models::DirectorySource weights(experiment.model, config);
    models::check_source(weights, table);
    models::check_finite(weights, table, world.size(), world.rank());
  }

  json::array notes, recipes, tasks, benchmarks, parameters;
  const bool needs_text = !experiment.tasks.empty() || !experiment.benchmarks.empty();
  if (everything) check_companions(experiment, config, needs_text, notes);
  else notes.emplace_back("config.json alone was read: weights, tokenizer and processor were not checked");
  const auto counted = [&](const std::filesystem::path& file) { return everything || std::filesystem::exists(file); };
  RecordCounts counts;
  for (const Task& task : experiment.tasks) {
    json::object described = counted(task.train) ? check_task(experiment, task) : stated_task(task, notes);
    counts[task.name] = described.at("usable").is_null() ? std::nullopt : std::optional(described.at("usable").to_number<std::int64_t>());
    tasks.push_back(std::move(described));
  }

  std::map<std::string, std::vector<std::string>> trained_by;
  for (const Recipe& recipe : experiment.recipes) {
    json::object plan = recipe_plan(recipe, config, table, experiment.train, shape, trained_by);
    plan["stages"] = stage_schedules(experiment, recipe, counts);
    recipes.push_back(std::move(plan));
  }
  for (const parallel::ParameterSpec& row : table.rows())
    parameters.push_back(parameter_json(row, trained_by[row.name]));
  for (const Recipe& recipe : experiment.recipes)
    for (const parallel::ParameterSpec& row : recipe.method ? recipe.method->own_parameters(table) : std::vector<parallel::ParameterSpec>{})
      parameters.push_back(parameter_json(row, trained_by[row.name]));
  for (const Benchmark& benchmark : experiment.benchmarks) benchmarks.push_back(benchmark_json(benchmark, counted(benchmark.data)));
  return {{"model", json::object{{"family", config.family},
                                 {"parameters", table.elements()},
                                 {"stored_dtype", std::string(framework::name_of(config.stored_dtype))},
                                 {"dtype", std::string(framework::name_of(experiment.dtype))}}},
          {"mesh", json::object{{"data", shape.data}, {"pipeline", shape.pipeline}, {"tensor", shape.tensor}}},
          {"mode", experiment.mode == Mode::clean ? "clean" : "faithful"},
          {"recipes", std::move(recipes)},
          {"study", study_json(experiment)},
          {"tasks", std::move(tasks)},
          {"benchmarks", std::move(benchmarks)},
          {"parameters", std::move(parameters)},
          {"notes", std::move(notes)}};
}

std::string describe_plan(const json::object& plan) {
  const auto text = [](const json::value& value) { return value.is_string() ? std::string(value.as_string()) : json::serialize(value); };
  const auto line = [&](const json::value& item, std::initializer_list<const char*> keys) {
    std::string out;
    for (const char* key : keys) out += (out.empty() ? "  " : "  ") + std::string(key) + " " + text(item.at(key));
    return out + "\n";
  };
  std::string out = "model\n" + line(plan.at("model"), {"family", "parameters", "stored_dtype", "dtype"}) + "mesh\n" +
                    line(plan.at("mesh"), {"data", "pipeline", "tensor"});
  out += "recipes\n";
  for (const json::value& recipe : plan.at("recipes").as_array()) {
    out += line(recipe, {"name", "tensors", "trained"});
    for (const json::value& kind : recipe.at("kinds").as_array())
      out += "  " + line(kind, {"name", "tensors", "elements", "learning_rate"});
    for (const json::value& stage : recipe.at("stages").as_array())
      out += "  " + line(stage, {"task", "records", "global_batch", "steps", "warmup_steps", "schedule", "learning_rates"});
    for (const json::value& rank : recipe.at("bytes_by_rank").as_array())
      out += "  " + line(rank, {"pipeline_stage", "tensor", "weights", "gradients", "optimizer"});
  }
  out += "study\n" + line(plan.at("study"), {"stages", "distinct", "concurrent_branches"});
  for (const json::value& branch : plan.at("study").at("branches").as_array()) out += "  " + line(branch, {"name", "order", "seed"});
  out += "tasks\n";
  for (const json::value& task : plan.at("tasks").as_array()) out += line(task, {"name", "records", "usable", "steps", "global_batch"});
  out += "benchmarks\n";
  for (const json::value& benchmark : plan.at("benchmarks").as_array()) out += line(benchmark, {"name", "kind", "questions", "metric"});
  out += "parameters\n";
  for (const json::value& row : plan.at("parameters").as_array())
    out += "  " + text(row.at("name")) + " " + text(row.at("shape")) +
           (row.at("trained_by").as_array().empty() ? " frozen" : " trained by " + text(row.at("trained_by"))) + "\n";
  for (const json::value& note : plan.at("notes").as_array()) out += "note: " + text(note) + "\n";
  return out;
}

}  // namespace retain::recipes
