// SPDX-License-Identifier: Apache-2.0
// `retain data check`: every record of an experiment's tasks, benchmarks and probes, or of one data file, looked at.
#include <iostream>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "launch/command/commands.h"
#include "recipes/records/data_check.h"

namespace retain::launch {
namespace {

namespace fs = std::filesystem;
using framework::Error;
using framework::ErrorKind;

struct Options {
  std::string path;
  std::vector<std::string> set;
  std::string model;
  bool headers = false;
  bool as_json = false;
};

/// An experiment; a file of one [task] or [benchmark]; or records to learn from.
recipes::Experiment experiment_of(const Options& options, const recipes::Extras& extras) {
  const fs::path path = options.path;
  recipes::Experiment experiment;
  if (path.extension() == ".toml") {
    const framework::ConfigFile file = framework::ConfigFile::read(path);
    std::vector<std::string> set = options.set;
    fs::path whole = path;
    for (const char* section : {"task", "benchmark"})
      if (file.root().has_table(section)) {
        whole.clear();
        set.insert(set.begin(), std::string(section) + "=[{file = '" + fs::absolute(path).string() + "'}]");
      }
    experiment = recipes::read_experiment(whole, set, extras);
  } else {
    recipes::Task task;
    task.name = path.filename().string();
    task.train = path;
    experiment.tasks.push_back(std::move(task));
  }
  if (!options.model.empty()) experiment.model = options.model;
  if (experiment.tasks.empty() && experiment.benchmarks.empty() && experiment.probes.empty())
    throw Error(ErrorKind::config_invalid, {options.path + " names no data", "[[task]], [[benchmark]] or [[probe]]", "none", "add one"});
  return experiment;
}

int check(const Session& session, const Options& options) {
  const recipes::Experiment experiment = experiment_of(options, session.extras());
  std::unique_ptr<models::SampleBuilder> builder;
  if (!experiment.model.empty()) {
    const auto mode = experiment.mode == recipes::Mode::clean ? framework::LabelMode::clean : framework::LabelMode::faithful;
    builder = std::make_unique<models::SampleBuilder>(experiment.model, models::read_config(experiment.model), mode);
  }
  const auto checks = recipes::check_data(experiment, builder.get(), !options.headers, *session.world());
  if (session.is_root())
    std::cout << (options.as_json ? framework::pretty(recipes::to_json(checks)) : recipes::describe_checks(checks, 20));
  bool good = true;
  for (const recipes::SetCheck& one : checks) good = good && one.bad.empty();
  return good ? 0 : 1;
}

}  // namespace

void add_data(CLI::App& app, Action& action) {
  CLI::App* data = app.add_subcommand("data", "Look at data sets");
  data->require_subcommand(1);
  CLI::App* command = data->add_subcommand("check", "Read whole sets: every bad record by name, lengths, pictures");
  auto options = std::make_shared<Options>();
  command->add_option("path", options->path, "Experiment, a file of one [task] or [benchmark], or a file of records")->required();
  command->add_option("--set", options->set, "Override a key of the experiment: path.to.key=value")->allow_extra_args(false);
  command->add_option("--model", options->model, "Model directory whose tokenizer counts (default: the experiment's)");
  command->add_flag("--headers", options->headers, "Read pictures' headers only");
  command->add_flag("--json", options->as_json, "Everything, as JSON");
  command->callback([&action, options] { action = [options](const Session& session) { return check(session, *options); }; });
}

}  // namespace retain::launch
