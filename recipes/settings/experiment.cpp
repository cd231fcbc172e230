// SPDX-License-Identifier: Apache-2.0
#include "recipes/settings/experiment.h"

#include <algorithm>
#include <limits>
#include <set>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/config/nearest.h"
#include "framework/metrics/registry.h"
#include "recipes/settings/source_settings.h"

namespace retain::recipes {
namespace {

using framework::BenchmarkKind;
using framework::ConfigFile;
using framework::ConfigTable;
using framework::Error;
using framework::ErrorKind;
namespace fs = std::filesystem;

constexpr std::int64_t kMany = std::numeric_limits<std::int32_t>::max();

/// No more groups of ranks than branches.
void check_concurrency(const ConfigTable& study, const Experiment& e) {
  const int groups = e.study.concurrent_branches;
  if (groups == 1 || e.recipes.empty()) return;
  const std::size_t branches = branches_of(e).size();
  if (static_cast<std::size_t>(groups) <= branches) return;
  throw Error(
      ErrorKind::config_invalid,
      {study.where("concurrent_branches"), "at most as many as the study has branches: " + std::to_string(branches),
       std::to_string(groups), "lower it; more ranks for each branch then make it quicker"});
}

TrainSettings read_settings(const ConfigTable& table, TrainSettings s) {
  s.learning_rate = table.number("learning_rate", s.learning_rate, 0, 1e3);
  const std::vector<std::string> schedules{"cosine", "linear", "constant"};
  s.schedule = static_cast<Schedule>(
      std::find(schedules.begin(), schedules.end(), table.choice("schedule", schedules, schedules[static_cast<std::size_t>(s.schedule)])) -
      schedules.begin());
  s.warmup_ratio = table.number("warmup_ratio", s.warmup_ratio, 0, 1);
  s.weight_decay = table.number("weight_decay", s.weight_decay, 0, 1e3);
  s.beta1 = table.number("beta1", s.beta1, 0, 1);
  s.beta2 = table.number("beta2", s.beta2, 0, 1);
  s.epsilon = table.number("epsilon", s.epsilon, 0, 1);
  s.clip = table.number("clip", s.clip, 0, 1e9);
  s.global_batch = table.integer("global_batch", s.global_batch, 1, kMany);
  s.micro_batch = table.integer("micro_batch", s.micro_batch, 1, kMany);
  s.micro_batch_tokens = table.integer("micro_batch_tokens", s.micro_batch_tokens, 0, kMany);
  s.epochs = table.integer("epochs", s.epochs, 1, kMany);
  s.max_steps = table.integer("max_steps", s.max_steps, 0, kMany);
  s.shuffle = table.flag("shuffle", s.shuffle);
  s.drop_last = table.flag("drop_last", s.drop_last);
  s.loss_average = table.choice("loss_average", {"sample", "token"}, s.loss_average == models::LossAverage::sample ? "sample" : "token") ==
                           "sample" ? models::LossAverage::sample : models::LossAverage::token;
  s.seed = static_cast<std::uint64_t>(
      table.integer("seed", static_cast<std::int64_t>(s.seed), 0, std::numeric_limits<std::int64_t>::max()));
  s.max_length = table.integer("max_length", s.max_length, 1, kMany);
  const auto bad = [&](const char* key, OnBad otherwise) {
    return table.choice(key, {"stop", "skip"}, otherwise == OnBad::stop ? "stop" : "skip") == "stop" ? OnBad::stop : OnBad::skip;
  };
  s.over_length = bad("over_length", s.over_length);
  s.non_finite = bad("non_finite", s.non_finite);
  s.master_weights = table.flag("master_weights", s.master_weights);
  s.moments = framework::dtype_from_name(table.choice("moments", {"float32", "bfloat16"}, std::string(framework::name_of(s.moments))));
  s.zero = table.flag("zero", s.zero);
  s.recompute = table.flag("recompute", s.recompute);
  s.save_every = table.integer("save_every", s.save_every, 0, kMany);
  return s;
}

/// `[[task]] file = "x.toml"` reads the entry from a file of its own; keys beside it override that file's.
struct Entry {
  ConfigTable table;
  fs::path folder;
};

Entry entry_of(const ConfigTable& table, const fs::path& folder, const std::string& section, std::vector<ConfigFile>& files) {
  if (!table.has("file")) return {table, folder};
  const fs::path file = path_of(table, "file", folder);
  files.push_back(ConfigFile::read(file));
  return {files.back().root().table(section), file.parent_path()};
}

Recipe read_recipe(const ConfigTable& table, Mode mode, const MethodRegistry& methods) {
  Recipe recipe;
  const std::vector<std::string> patterns = table.texts("train");
  recipe.name = table.text("name", patterns.empty() ? std::nullopt : std::optional<std::string>("custom"));
  recipe.global_batch = table.integer("global_batch", 0, 0, kMany);
  const double rate = table.number("learning_rate", 0.0, 0, 1e3);
  const std::vector<ConfigTable> groups = table.tables("group");
  if (groups.empty()) recipe.groups.push_back({patterns.empty() ? std::vector<std::string>{recipe.name} : patterns, rate});
  for (const ConfigTable& group : groups)
    recipe.groups.push_back({group.texts("train"), group.number("learning_rate", rate, 0, 1e3)});
  std::vector<std::string> known = methods.names();
  known.emplace_back("none");
  if (const std::string method = table.choice("method", known, "none"); method != "none") {
    const ConfigTable settings = table.table(method);
    recipe.method = methods.make(method, {settings, recipe.groups, mode == Mode::faithful});
  }
  return recipe;
}

/// `[[recipe]] file = "x.toml"` stands for that file's recipes, or for those `only` names.
std::vector<Recipe> read_recipe_file(const ConfigTable& table, const fs::path& folder, Mode mode, const MethodRegistry& methods) {
  const ConfigFile file = ConfigFile::read(path_of(table, "file", folder));
  const std::vector<std::string> only = table.texts("only");
  const std::int64_t global_batch = table.integer("global_batch", 0, 0, kMany);
  const ConfigTable root = file.root();
  std::vector<Recipe> recipes;
  std::vector<std::string> names;
  for (const ConfigTable& listed : root.tables("recipe")) {
    Recipe recipe = read_recipe(listed, mode, methods);
    names.push_back(recipe.name);
    if (!only.empty() && std::find(only.begin(), only.end(), recipe.name) == only.end()) continue;
    if (global_batch > 0) recipe.global_batch = global_batch;
    recipes.push_back(std::move(recipe));
  }
  root.reject_unknown();
  for (const std::string& name : only)
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw Error(ErrorKind::config_invalid, {table.where("only"), "names of recipes in " + root.file(), name,
                                              framework::did_you_mean(name, names)});
  return recipes;
}

std::vector<Recipe> read_recipes(const ConfigTable& root, const fs::path& folder, Mode mode, const MethodRegistry& methods) {
  std::vector<Recipe> recipes;
  for (const ConfigTable& table : root.tables("recipe")) {
    std::vector<Recipe> listed;
    if (table.has("file")) listed = read_recipe_file(table, folder, mode, methods);
    else listed.push_back(read_recipe(table, mode, methods));
    for (Recipe& recipe : listed) {
      for (const Recipe& other : recipes)
        if (other.name == recipe.name)
          throw Error(ErrorKind::config_invalid, {table.where("name"), "a name of its own for every recipe", recipe.name + " twice",
                                                  "give one of them another name"});
      recipes.push_back(std::move(recipe));
    }
  }
  return recipes;
}

/// A data path, which a key beside `file` overrides: relative to `data.root` where that is set, else to the file that names it.
fs::path data_path(const ConfigTable& beside, const Entry& entry, const std::string& key, const fs::path& folder,
                   const fs::path& data_root) {
  const std::string otherwise = entry.table.text(key, "");
  const bool own = beside.has(key);
  const fs::path path = own ? beside.text(key) : otherwise;
  if (path.empty() || data_root.empty()) return own ? path_of(beside, key, folder) : path_of(entry.table, key, entry.folder);
  return path.is_absolute() || beside.overridden(key) ? path : data_root / path;
}

/// What tasks and benchmarks say alike: a name, a data file (under its member's own key), its pictures, and how rows become records.
/// Returns where the rest of the entry stands.
template <typename Named>
Entry read_records_of(Named& named, fs::path Named::*data, const std::string& key, const ConfigTable& table, const std::string& section,
                      const fs::path& folder, const Experiment& e, std::vector<ConfigFile>& files) {
  const Entry entry = entry_of(table, folder, section, files);
  named.name = entry.table.text("name");
  if (!table.has(key)) entry.table.text(key);  // required
  named.*data = data_path(table, entry, key, folder, e.data_root);
  named.images = data_path(table, entry, "images", folder, e.data_root);
  named.source = read_source(entry.table, e.mode);
  return entry;
}

std::vector<Task> read_tasks(const ConfigTable& root, const fs::path& folder, const Experiment& e, std::vector<ConfigFile>& files) {
  std::vector<Task> tasks;
  for (const ConfigTable& table : root.tables("task")) {
    Task task;
    const Entry entry = read_records_of(task, &Task::train, "train", table, "task", folder, e, files);
    task.mixture = e.mode == Mode::faithful ? framework::MixtureMode::faithful : framework::MixtureMode::clean;
    task.settings = read_settings(entry.table, e.train);
    task.records = table.integer("records", entry.table.integer("records", 0, 0, kMany), 0, kMany);
    if (table.has("file")) {
      task.settings = read_settings(table, task.settings);
      entry.table.reject_unknown();
    }
    tasks.push_back(std::move(task));
  }
  const ConfigTable curriculum = root.table("curriculum");
  const std::vector<std::string> order = curriculum.texts("order");
  if (order.empty()) return tasks;
  std::vector<Task> ordered;
  for (const std::string& name : order) {
    const auto found = std::find_if(tasks.begin(), tasks.end(), [&](const Task& task) { return task.name == name; });
    if (found == tasks.end()) {
      std::vector<std::string> names;
      for (const Task& task : tasks) names.push_back(task.name);
      throw Error(ErrorKind::config_invalid,
                  {curriculum.where("order"), "names of [[task]] entries", name, framework::did_you_mean(name, names)});
    }
    ordered.push_back(*found);
  }
  return ordered;
}

BenchmarkKind read_kind(const ConfigTable& table) {
  const std::string kind = table.choice("kind", {"target", "held_out", "extra"}, "held_out");
  for (const BenchmarkKind known : {BenchmarkKind::target, BenchmarkKind::extra})
    if (kind == name_of(known)) return known;
  return BenchmarkKind::held_out;
}

std::vector<Benchmark> read_benchmarks(const ConfigTable& root, const fs::path& folder, const Experiment& e,
                                       std::vector<ConfigFile>& files, const Extras& extras) {
  std::vector<Benchmark> benchmarks;
  for (const ConfigTable& table : root.tables("benchmark")) {
    Benchmark benchmark;
    const Entry entry = read_records_of(benchmark, &Benchmark::data, "data", table, "benchmark", folder, e, files);
    std::vector<std::string> metrics = framework::metric_names();
    for (const auto& [name, metric] : extras.metrics) metrics.push_back(name);
    benchmark.scoring.metric = entry.table.choice("metric", metrics, "exact_match");
    if (const auto own = extras.metrics.find(benchmark.scoring.metric); own != extras.metrics.end()) benchmark.scoring.own = own->second;
    benchmark.scoring.mode = e.mode == Mode::clean ? framework::ScoringMode::clean : framework::ScoringMode::faithful;
    benchmark.scoring.average = framework::average_from_name(entry.table.choice("average", {"samples", "categories"}, "samples"));
    benchmark.kind = read_kind(entry.table);
    benchmark.task = entry.table.text("task", benchmark.kind == BenchmarkKind::target ? benchmark.name : "");
    benchmark.max_new_tokens = entry.table.integer("max_new_tokens", 16, 1, 1 << 20);
    benchmark.limit = table.integer("limit", entry.table.integer("limit", 0, 0, kMany), 0, kMany);
    if (table.has("file")) entry.table.reject_unknown();
    benchmarks.push_back(std::move(benchmark));
  }
  return benchmarks;
}

}  // namespace

const char* name_of(Mode mode) { return mode == Mode::clean ? "clean" : "faithful"; }

framework::LabelMode label_mode(const Experiment& experiment) {
  return experiment.mode == Mode::clean ? framework::LabelMode::clean : framework::LabelMode::faithful;
}

TrainSettings Recipe::settings(TrainSettings task) const {
  if (global_batch > 0) task.global_batch = global_batch;
  return task;
}

Experiment read_experiment(const fs::path& file, const std::vector<std::string>& overrides, const Extras& extras) {
  const ConfigFile document = file.empty() ? ConfigFile::parse("", "--set", overrides) : ConfigFile::read(file, overrides);
  const ConfigTable root = document.root();
  const fs::path folder = file.empty() ? fs::path() : document.folder();
  std::vector<ConfigFile> files;
  Experiment e;
  e.file = file;
  const ConfigTable model = root.table("model");
  e.model = path_of(model, "path", folder);
  e.dtype = framework::dtype_from_name(model.choice("dtype", {"float32", "bfloat16"}, "float32"));
  e.mode = model.choice("mode", {"clean", "faithful"}, "clean") == "clean" ? Mode::clean : Mode::faithful;
  const ConfigTable parallel = root.table("parallel");
  e.tensor = static_cast<int>(parallel.integer("tensor", 1, 1, 1 << 16));
  e.pipeline = static_cast<int>(parallel.integer("pipeline", 1, 1, 1 << 16));
  e.watchdog_seconds = parallel.number("watchdog_seconds", e.watchdog_seconds, 1, 1e6);
  const ConfigTable train = root.table("train");
  e.train = read_settings(train, {});
  const ConfigTable data = root.table("data");
  e.bad_records = data.choice("bad_records", {"stop", "skip"}, "stop") == "stop" ? OnBad::stop : OnBad::skip;
  e.methods = extras.methods;
  e.recipes = read_recipes(root, folder, e.mode, extras.methods);
  e.data_root = path_of(data, "root", folder);
  e.tasks = read_tasks(root, folder, e, files);
  std::vector<std::string> names;
  for (const Task& task : e.tasks) names.push_back(task.name);
  const ConfigTable study = root.table("study");
  e.study = read_study(study, names);
  check_concurrency(study, e);
  e.benchmarks = read_benchmarks(root, folder, e, files, extras);
  e.probes = read_probes(root, folder, e.mode == Mode::faithful, names);
  std::vector<std::string> figures, panels;
  for (const Probe& probe : e.probes)
    if (probe.kind != ProbeKind::samples) figures.push_back(probe.name);
  for (const Benchmark& benchmark : e.benchmarks) panels.push_back(benchmark.name);
  e.watches = read_watches(root, figures, panels);
  const ConfigTable evaluate = root.table("evaluate");
  e.evaluation_batch = evaluate.integer("batch", e.evaluation_batch, 1, 1 << 16);
  const ConfigTable store = root.table("store");
  e.store = path_of(store, "path", folder);
  e.store_asynchronous = store.flag("asynchronous", e.store_asynchronous);
  e.log = path_of(root.table("log"), "path", folder);
  const ConfigTable cache = root.table("feature_cache");
  e.feature_memory = cache.integer("memory", e.feature_memory, 0, std::numeric_limits<std::int64_t>::max());
  e.feature_disk = cache.integer("disk", e.feature_disk, 0, std::numeric_limits<std::int64_t>::max());
  root.reject_unknown();
  return e;
}

std::string describe_settings(const TrainSettings& s) {
  namespace json = framework::json;
  const auto bad = [](OnBad value) { return value == OnBad::stop ? "stop" : "skip"; };
  constexpr const char* kSchedules[] = {"cosine", "linear", "constant"};
  return json::serialize(json::object{
      {"learning_rate", s.learning_rate}, {"schedule", kSchedules[static_cast<int>(s.schedule)]}, {"warmup_ratio", s.warmup_ratio},
      {"weight_decay", s.weight_decay}, {"beta1", s.beta1}, {"beta2", s.beta2}, {"epsilon", s.epsilon}, {"clip", s.clip},
      {"global_batch", s.global_batch}, {"epochs", s.epochs}, {"max_steps", s.max_steps}, {"shuffle", s.shuffle},
      {"drop_last", s.drop_last}, {"loss_average", s.loss_average == models::LossAverage::sample ? "sample" : "token"},
      {"seed", s.seed}, {"max_length", s.max_length}, {"over_length", bad(s.over_length)}, {"non_finite", bad(s.non_finite)},
      {"master_weights", s.master_weights}, {"moments", framework::name_of(s.moments)}});
}

}  // namespace retain::recipes
