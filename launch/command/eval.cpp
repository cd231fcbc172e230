// SPDX-License-Identifier: Apache-2.0
// `retain eval EXPERIMENT.toml`: the experiment's benchmarks on its model, on any stage of its store, or on a blend of two
// stages that is never written (one or a sweep of weights). One {"benchmark","score"} line each; --answers adds every sample's answer.
#include <charconv>
#include <iostream>
#include <optional>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/store/blend.h"
#include "framework/store/stage_reader.h"
#include "launch/command/commands.h"
#include "parallel/mesh.h"
#include "recipes/evaluation/evaluator.h"
#include "recipes/methods/stage_method.h"
#include "recipes/methods/wise_ft.h"
#include "recipes/study/model_kit.h"

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
  std::vector<double> alphas = {0.5};
  std::vector<std::string> alpha_groups;  ///< "PATTERN=ALPHA"
  bool answers = false;
};

/// Weights to measure, and the method whose parameters they hold (null: none).
struct Point {
  std::shared_ptr<const framework::TensorSource> weights;
  std::shared_ptr<const recipes::Method> method;
  std::optional<double> alpha;  ///< of a blend
};

std::vector<recipes::BlendGroup> groups_of(const std::vector<std::string>& texts) {
  std::vector<recipes::BlendGroup> groups;
  for (const std::string& text : texts) {
    const std::size_t equals = text.rfind('=');
    double alpha = -1;
    const char* end = text.data() + text.size();
    if (equals != std::string::npos && std::from_chars(text.data() + equals + 1, end, alpha).ptr != end) alpha = -1;
    if (!(alpha >= 0 && alpha <= 1))
      throw Error(ErrorKind::usage, {"a group's weight cannot be read", "PATTERN=ALPHA with ALPHA in 0 to 1", text, {}});
    groups.push_back({{text.substr(0, equals)}, alpha});
  }
  return groups;
}

/// What was asked for. Every rank opens it itself; reading takes no lock.
std::vector<Point> open_points(const Options& options, const recipes::Experiment& experiment, const recipes::ModelKit& kit) {
  if (options.stage.empty() && options.blend.empty()) return {{kit.open_weights(), nullptr, std::nullopt}};
  const framework::Store store = framework::Store::open(experiment.store);
  const auto open = [&](const std::string& name) { return std::make_shared<const framework::StageReader>(store, store.resolve(name)); };
  const auto first = open(options.blend.empty() ? options.stage : options.blend[0]);
  const auto method = recipes::method_in(store, *first, kit.table(), experiment.methods);
  if (options.blend.empty()) return {{first, method, std::nullopt}};
  const auto second = open(options.blend[1]);
  std::vector<std::string> names;
  for (const framework::TensorInfo& tensor : first->tensors()) names.push_back(tensor.name);
  const auto groups = groups_of(options.alpha_groups);
  std::vector<Point> points;
  for (const double alpha : options.alphas)
    points.push_back({std::make_shared<framework::BlendView>(first, second, recipes::blend_weights(names, groups, alpha)), method, alpha});
  return points;
}

void measure(const Session& session, const Options& options, const recipes::Experiment& experiment,
             const recipes::ModelKit& kit, const Point& point) {
  models::FeatureCache features({.memory_bytes = experiment.feature_memory, .folder = {}, .folder_bytes = 0});
  const auto model = kit.load_and_tell(*point.weights, {.features = &features}, true, session.log(), {point.method.get(), 0, ""});
  for (const std::string& reading : recipes::readings_of(point.method.get()))
    for (const recipes::Benchmark& benchmark : experiment.benchmarks) {
      if (point.method) point.method->read_as(*model, reading);
      const recipes::Evaluation evaluation =
          recipes::evaluate(*model, kit.builder(), benchmark, recipes::read_questions(benchmark), experiment.evaluation_batch);
      json::object line = options.answers ? recipes::to_json(evaluation) : recipes::summary_json(evaluation);
      if (point.alpha) line["alpha"] = *point.alpha;
      if (!reading.empty()) line["reading"] = reading;
      if (session.is_root()) std::cout << json::serialize(line) << std::endl;
    }
}

int eval(const Session& session, const Options& options) {
  const recipes::Experiment experiment = recipes::read_experiment(options.file, options.set, session.extras());
  if (experiment.benchmarks.empty())
    throw Error(ErrorKind::config_invalid, {options.file + " names no benchmark", "at least one [[benchmark]]", "none", "add one"});
  const parallel::Mesh mesh(session.world(), parallel::mesh_for(session.world()->size(), experiment.tensor, experiment.pipeline));
  const recipes::ModelKit kit(experiment.model, mesh, experiment.dtype,
                              experiment.mode == recipes::Mode::clean ? framework::LabelMode::clean : framework::LabelMode::faithful);
  for (const Point& point : open_points(options, experiment, kit)) measure(session, options, experiment, kit, point);
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
  command->add_option("--alpha", options->alphas, "Weight of A in the blend; several are measured one after another")
      ->check(CLI::Range(0.0, 1.0))
      ->expected(1, -1);
  command->add_option("--alpha-group", options->alpha_groups, "PATTERN=ALPHA: another weight for some parameters")->allow_extra_args(false);
  command->add_flag("--answers", options->answers, "Print every sample's answer too");
  command->callback([&action, options] {
    action.run = [options](const Session& session) { return eval(session, *options); };
    action.watchdog_seconds = [options](const recipes::Extras& extras) {
      return recipes::read_experiment(options->file, options->set, extras).watchdog_seconds;
    };
  });
}

}  // namespace retain::launch
