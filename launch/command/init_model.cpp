// SPDX-License-Identifier: Apache-2.0
// `retain init-model`: a model directory with random weights for a config.json.
#include <ATen/Parallel.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "launch/command/commands.h"
#include "models/lmm/table.h"
#include "models/weights/initialise.h"

namespace retain::launch {
namespace {

namespace fs = std::filesystem;
namespace json = framework::json;

struct Arguments {
  std::string config;
  std::string out;
  std::string tokenizer;
  std::string dtype;
  std::string scale = "constant";
  models::InitialWeights weights;
};

/// The small files of the new model: those beside a config.json, then the tokenizer's and processor's.
models::SmallFiles gather(const fs::path& config_file, const std::string& tokenizer) {
  models::SmallFiles files;
  if (config_file.filename() == "config.json") {
    const fs::path folder = config_file.parent_path().empty() ? "." : config_file.parent_path();
    files = models::read_small_files(folder);
  } else {
    files["config.json"] = framework::read_file(config_file);
  }
  if (tokenizer.empty()) return files;
  for (const auto& [name, bytes] : models::read_small_files(tokenizer))
    if (name != "config.json" && name != "generation_config.json") files[name] = bytes;
  return files;
}

models::LmmConfig read(const fs::path& config_file) {
  if (config_file.filename() == "config.json")
    return models::read_config(config_file.parent_path().empty() ? "." : config_file.parent_path());
  return models::read_config_file(config_file);
}

int run(const Session& session, const Arguments& arguments) {
  if (!session.is_root()) return 0;
  if (std::getenv("OMP_NUM_THREADS") == nullptr && session.world()->size() == 1)
    at::set_num_threads(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  const models::LmmConfig config = read(arguments.config);
  const framework::DType dtype =
      arguments.dtype.empty() ? config.stored_dtype : framework::dtype_from_name(arguments.dtype);
  models::InitialWeights weights = arguments.weights;
  weights.scale = arguments.scale == "fan_in" ? models::InitialScale::fan_in : models::InitialScale::constant;
  models::write_initial_model(config, dtype, gather(arguments.config, arguments.tokenizer), arguments.out, weights);
  const std::int64_t parameters = models::build_table(config, 1, models::partition_for(config, 1), dtype).elements();
  std::cout << json::serialize(json::object{{"model", arguments.out},
                                            {"parameters", parameters},
                                            {"dtype", framework::name_of(dtype)},
                                            {"seed", weights.seed}})
            << '\n';
  return 0;
}

}  // namespace

void add_init_model(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("init-model", "Write a model directory with random weights for a config.json");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("--config", arguments->config, "config.json of any supported model")->required();
  command->add_option("--out", arguments->out, "new model directory")->required();
  command->add_option("--seed", arguments->weights.seed, "seed of the weights")->capture_default_str();
  command->add_option("--dtype", arguments->dtype, "float32, bfloat16 or float16 (default: the configuration's)")
      ->check(CLI::IsMember({"float32", "bfloat16", "float16"}));
  command->add_option("--tokenizer", arguments->tokenizer, "folder whose tokenizer and processor files are copied");
  command
      ->add_option("--scale", arguments->scale,
                   "constant: one deviation; fan_in: gain / sqrt(inputs), residual branches less")
      ->check(CLI::IsMember({"constant", "fan_in"}))
      ->capture_default_str();
  command->add_option("--deviation", arguments->weights.deviation, "standard deviation for --scale constant")
      ->capture_default_str();
  command->add_option("--gain", arguments->weights.gain, "gain for --scale fan_in")->capture_default_str();
  command
      ->add_option("--embedding-deviation", arguments->weights.embedding_deviation, "of embeddings, for --scale fan_in")
      ->capture_default_str();
  command
      ->add_option("--position-deviation", arguments->weights.position_deviation,
                   "of the vision tower's position embeddings, for --scale fan_in")
      ->capture_default_str();
  command->add_option("--shard-bytes", arguments->weights.shard_bytes, "largest weight file")->capture_default_str();
  command->callback(
      [&action, arguments] { action = [arguments](const Session& session) { return run(session, *arguments); }; });
}

}  // namespace retain::launch
