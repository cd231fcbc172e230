// SPDX-License-Identifier: Apache-2.0
// `retain run EXPERIMENT.toml`: the main job. The same command again goes on where it was.
#include <iostream>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "launch/command/commands.h"
#include "launch/signals.h"
#include "parallel/mesh.h"
#include "parallel/rank_groups.h"
#include "recipes/planning/dry_run.h"
#include "recipes/study/curriculum.h"
#include "recipes/training/trainable_table.h"

namespace retain::launch {
namespace {

using framework::Error;
using framework::ErrorKind;

struct Options {
  std::string file;
  std::vector<std::string> set;
  std::string log;
  bool dry = false;
  bool config_only = false;
  bool as_json = false;
};

int plan_only(const Session& session, const recipes::Experiment& experiment, const Options& options) {
  const auto depth = options.config_only ? recipes::DryRunDepth::configuration : recipes::DryRunDepth::everything;
  const framework::json::object plan = recipes::dry_run(experiment, *session.world(), depth);
  session.world()->barrier();  // a refusal of any rank comes before the result
  if (session.is_root()) std::cout << (options.as_json ? framework::pretty(plan) : recipes::describe_plan(plan));
  return 0;
}

/// A run, unlike a dry run, needs all of these.
void require_parts(const recipes::Experiment& experiment) {
  const auto refuse = [](const char* key, const char* expected) {
    throw Error(ErrorKind::config_invalid,
                {std::string(key) + " is missing", expected, "nothing", "add it to the experiment file, or use --set"});
  };
  if (experiment.model.empty()) refuse("model.path", "a model directory");
  if (experiment.store.empty()) refuse("store.path", "where stages and results are kept");
  if (!experiment.recipes.empty() && experiment.tasks.empty()) refuse("[[task]]", "at least one task to teach");
}

int run(const Session& session, const Options& options) {
  recipes::Experiment experiment = recipes::read_experiment(options.file, options.set, session.extras());
  if (!options.log.empty()) experiment.log = options.log;
  if (options.dry) return plan_only(session, experiment, options);
  require_parts(experiment);
  const parallel::RankGroups groups(session.world(), experiment.study.concurrent_branches);
  const parallel::Mesh mesh(groups.own(), parallel::mesh_for(groups.own()->size(), experiment.tensor, experiment.pipeline));
  const std::string label = groups.count() == 1 ? "" : groups.own()->name();
  const framework::Log log(session.log(), label, groups.own()->rank() == 0);
  recipes::Curriculum curriculum(experiment, groups, mesh, log, watch_stop_signals());
  const bool finished = curriculum.run();
  if (session.is_root() && (!experiment.benchmarks.empty() || !experiment.probes.empty()))
    std::cout << framework::measures_table(curriculum.study());
  return finished ? 0 : 3;
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("run", "Teach, commit, evaluate and probe, stage by stage; again to resume");
  auto options = std::make_shared<Options>();
  command->add_option("experiment", options->file, "Experiment file (TOML)");
  command->add_option("--set", options->set, "Override a key: path.to.key=value; array elements by position")->allow_extra_args(false);
  command->add_option("--log", options->log, "JSON lines, one an optimizer step");
  CLI::Option* dry = command->add_flag("--dry-run", options->dry, "Check everything that can be checked and print the plan");
  command
      ->add_flag("--config-only", options->config_only,
                 "With --dry-run: from the model's config.json alone, where weights or data are not at hand")
      ->needs(dry);
  command->add_flag("--json", options->as_json, "The plan of --dry-run as JSON");
  command->callback([&action, options] {
    action.run = [options](const Session& session) { return run(session, *options); };
    action.watchdog_seconds = [options](const recipes::Extras& extras) {
      return recipes::read_experiment(options->file, options->set, extras).watchdog_seconds;
    };
  });
}

}  // namespace retain::launch
