// SPDX-License-Identifier: Apache-2.0
// `retain plan EXPERIMENT.toml --ranks N --memory 80GiB`: what would fit where, before anything is loaded.
#include <iostream>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "launch/command/commands.h"
#include "parallel/rank_groups.h"
#include "recipes/planning/plan.h"

namespace retain::launch {
namespace {

struct Options {
  std::string file;
  std::vector<std::string> set;
  recipes::PlanRequest request;
  bool as_json = false;
};

int plan(const Session& session, Options& options) {
  const recipes::Experiment experiment = recipes::read_experiment(options.file, options.set, session.extras());
  if (!session.is_root()) return 0;
  options.request.ranks = parallel::group_size(options.request.ranks, experiment.study.concurrent_branches);
  recipes::SampleSizes& assumed = options.request.assumed;
  assumed.largest = assumed.mean;
  const recipes::Plan made = recipes::make_plan(experiment, options.request);
  std::cout << (options.as_json ? framework::pretty(recipes::plan_json(made)) : recipes::plan_text(made, options.request));
  const bool all_fit = std::all_of(made.recipes.begin(), made.recipes.end(), [](const auto& recipe) { return recipe.chosen.has_value(); });
  return all_fit ? 0 : 4;
}

}  // namespace

void add_plan(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "plan", "Memory and time on every mesh, from the configuration alone; exits with 4 where none fits");
  auto options = std::make_shared<Options>();
  recipes::PlanRequest& request = options->request;
  request.assumed.mean = {2048, 64, 5 * 729, 1920};
  command->add_option("experiment", options->file, "Experiment file (TOML)");
  command->add_option("--set", options->set, "Override a key: path.to.key=value")->allow_extra_args(false);
  command->add_option("--ranks", request.ranks, "Ranks of the run")->check(CLI::Range(1, 65536));
  command->add_option("--memory", request.memory, "What a rank may use, such as 80GiB")->transform(CLI::AsSizeValue(false));
  command->add_option("--flops", request.flops, "Floating-point operations a second that a rank reaches, such as 4e14");
  command->add_option("--bandwidth", request.bandwidth, "Bytes a second between ranks");
  command->add_option("--tokens", request.assumed.mean.tokens, "Tokens of a sample, visual ones included, where no task's data is at hand");
  command->add_option("--answers", request.assumed.mean.answers, "Supervised tokens of it");
  command->add_option("--visual-tokens", request.assumed.mean.visual_tokens, "Visual tokens of it");
  command->add_option("--patches", request.assumed.mean.patches, "Patches of its pictures, tiles times patches a tile");
  command->add_flag("--json", options->as_json, "As JSON, every rank of a replica");
  command->callback([&action, options] { action = [options](const Session& session) { return plan(session, *options); }; });
}

}  // namespace retain::launch
