// SPDX-License-Identifier: Apache-2.0
// `retain eval EXPERIMENT.toml`: the experiment's benchmarks on its model, on any stage of its store, or on a blend of two
// stages that is never written. One {"benchmark","score"} line each; --answers adds every sample's answer.
#include <iostream>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/store/blend.h"
#include "framework/store/stage_reader.h"
#include "launch/command/commands.h"
#include "parallel/mesh.h"
#include "recipes/evaluator.h"
#include "recipes/model_kit.h"

namespace retain::launch {
namespace {

using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;

struct Options {
  std::string file;
  std::vector<std::string> set;
  std::string stage;
  std::vector<std::string> blend;
  double alpha = 0.5;
  bool answers = false;
};

/// The weights that were asked for. Every rank opens them itself; reading takes no lock.
std::unique_ptr<framework::TensorSource> open_source(const Options& options, const recipes::Experiment& experiment, const recipes::ModelKit& kit) {
  if (options.stage.empty() && options.blend.empty()) return kit.open_weights();
  const framework::Store store = framework::Store::open(experiment.store);
  const auto open = [&](const std::string& name) { return std::make_unique<framework::StageReader>(store, store.resolve(name)); };
  if (options.blend.empty()) return open(options.stage);
  return std::make_unique<framework::BlendView>(open(options.blend[0]), open(options.blend[1]), options.alpha);
}

int eval(const Session& session, const Options& options) {
  const recipes::Experiment experiment = recipes::read_experiment(options.file, options.set);
  if (experiment.benchmarks.empty())
    throw Error(ErrorKind::config_invalid, {options.file + " names no benchmark", "at least one [[benchmark]]", "none", "add one"});
  const parallel::Mesh mesh(session.world(), parallel::mesh_for(session.world()->size(), experiment.tensor, experiment.pipeline));
  const recipes::ModelKit kit(experiment.model, mesh, experiment.dtype,
                              experiment.mode == recipes::Mode::clean ? framework::LabelMode::clean : framework::LabelMode::faithful);
  models::FeatureCache features({.memory_bytes = experiment.feature_memory, .folder = {}, .folder_bytes = 0});
  const auto model = kit.load(*open_source(options, experiment, kit), {.features = &features}, true);
  for (const recipes::Benchmark& benchmark : experiment.benchmarks) {
    const recipes::Evaluation evaluation =
        recipes::evaluate(*model, kit.builder(), benchmark, recipes::read_questions(benchmark), experiment.evaluation_batch);
    json::object line = options.answers ? recipes::to_json(evaluation) : recipes::summary_json(evaluation);
    if (session.is_root()) std::cout << json::serialize(line) << std::endl;
  }
  return 0;
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("eval", "Benchmarks on a model, a stage, or a blend that is never written");
  auto options = std::make_shared<Options>();
  command->add_option("experiment", options->file, "Experiment file (TOML) with [[benchmark]] entries")->required();
  command->add_option("--set", options->set, "Override a key: path.to.key=value")->allow_extra_args(false);
  CLI::Option* stage = command->add_option("--stage", options->stage, "Branch, tag or id in the experiment's store");
  command->add_option("--blend", options->blend, "Two stages A B")->expected(2)->excludes(stage);
  command->add_option("--alpha", options->alpha, "Weight of A in the blend")->check(CLI::Range(0.0, 1.0));
  command->add_flag("--answers", options->answers, "Print every sample's answer too");
  command->callback([&action, options] {
    action.run = [options](const Session& session) { return eval(session, *options); };
    action.watchdog_seconds = [options] { return recipes::read_experiment(options->file, options->set).watchdog_seconds; };
  });
}

}  // namespace retain::launch
