// SPDX-License-Identifier: Apache-2.0
// Trains a workload of bench/peers.py with random weights and prints one JSON line: tokens a second, memory, share of
// the speed of matrix products.   [mpirun -np 2] bench_train_workload --folder WORKLOADS --workload mid --recipe
// sa_proj
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <span>

#include "bench/train_workload.h"
#include "framework/base/json.h"
#include "framework/base/memory.h"
#include "models/lmm/table.h"
#include "models/weights/initialise.h"
#include "parallel/comm/mpi_session.h"
#include "parallel/scalar_type.h"
#include "recipes/training/train_step.h"

namespace {

using namespace retain;
namespace json = framework::json;

struct Options {
  std::string folder, workload = "mid", recipe = "llm", dtype = "bfloat16";
  bool pure = false;  ///< no float32 master weights, moments in the weights' dtype
  bool recompute = false;
  int tensor = 1;
  int warm_up = 1;
  int steps = 4;
};

/// Random weights; cut tensors differ between tensor ranks, replicated ones do not. The time does not depend on them.
parallel::ParameterSet random_parameters(const models::LmmConfig& config, const parallel::ParameterTable& table,
                                         const parallel::MeshPosition& position) {
  std::vector<parallel::Parameter> parameters;
  std::uint64_t seed = 1;
  for (const parallel::ParameterSpec& row : table.rows()) {
    ++seed;
    if (!row.held_by(position.pipeline)) continue;
    const auto rank_seed =
        row.cut_dimension < 0 ? seed : seed + 1'000'000 * static_cast<std::uint64_t>(position.tensor + 1);
    const double deviation = models::initial_deviation(row, config, {});
    at::Tensor value = at::empty(row.local_shape(position.tensor), parallel::scalar_type(row.dtype));
    if (deviation > 0)
      value.normal_(0, deviation, at::detail::createCPUGenerator(rank_seed));
    else
      value.fill_(models::initial_constant(row));
    parameters.push_back({row, value});
  }
  return parallel::ParameterSet(std::move(parameters));
}

recipes::TrainSettings settings_of(const Options& options) {
  recipes::TrainSettings settings;
  settings.learning_rate = 1e-5;
  settings.loss_average = models::LossAverage::token;
  settings.master_weights = !options.pure;
  if (options.pure && options.dtype == "bfloat16") settings.moments = framework::DType::bfloat16;
  return settings;
}

double peak_gigabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1024.0 * 1024.0);
}

struct Steps {
  std::vector<double> seconds, tokens_per_second, samples_per_second, operations_per_second, losses;
};

/// Trains, packing included; the first steps are not counted.
Steps train(recipes::TrainStep& step, const bench::Workload& workload, const Options& options) {
  Steps result;
  const std::size_t size = static_cast<std::size_t>(workload.micro_batch), batches = workload.samples.size() / size;
  for (int s = 0; s < options.warm_up + options.steps; ++s) {
    const auto first =
        workload.samples.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(s) % batches * size);
    const std::vector<models::Sample> samples(first, first + static_cast<std::ptrdiff_t>(size));
    std::int64_t answers = 0;
    double tokens = 0;
    for (const models::Sample& sample : samples) {
      answers += sample.answers();
      tokens += static_cast<double>(sample.ids.size());
    }
    const auto begin = std::chrono::steady_clock::now();
    const models::MicroBatch batch =
        models::pack(samples, models::LossAverage::token, static_cast<std::int64_t>(size), answers);
    const recipes::StepResult outcome = step.run({&batch, 1}, {1e-5});
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (s < options.warm_up) continue;
    result.losses.push_back(outcome.loss);
    result.seconds.push_back(seconds);
    result.tokens_per_second.push_back(tokens / seconds);
    result.samples_per_second.push_back(static_cast<double>(size) / seconds);
    result.operations_per_second.push_back(bench::useful_operations(workload.config, samples, options.recipe) /
                                           seconds);
  }
  return result;
}

json::object spread(std::vector<double> values, double unit = 1) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {{"median", median / unit}, {"min", values.front() / unit}, {"max", values.back() / unit}};
}

void measure(const Options& options, std::shared_ptr<parallel::Communicator> world) {
  const parallel::Mesh mesh(world, parallel::mesh_for(world->size(), options.tensor, 1));
  const bench::Workload workload = bench::read_workload(options.folder, options.workload);
  const framework::DType dtype = framework::dtype_from_name(options.dtype);
  const parallel::PipelinePartition partition = models::partition_for(workload.config, 1);
  const parallel::ParameterTable table = models::build_table(workload.config, options.tensor, partition, dtype);
  models::LmmOptions lmm_options;
  lmm_options.recompute_activations = options.recompute;
  models::Lmm model(workload.config, mesh, partition, table, random_parameters(workload.config, table, mesh.position()),
                    lmm_options);
  recipes::TrainStep step(model, settings_of(options), recipes::select(table, {{{options.recipe}, 0}}));
  const Steps steps = train(step, workload, options);
  at::Tensor peaks = at::zeros({world->size()}, at::kDouble);
  peaks.data_ptr<double>()[world->rank()] = peak_gigabytes();
  world->all_reduce(peaks);
  at::Tensor limit = at::zeros({1}, at::kDouble);
  limit.data_ptr<double>()[0] = bench::product_limit(workload.config, parallel::scalar_type(dtype), 1536) / 1e9;
  world->all_reduce(limit);
  double load[1] = {0};
  getloadavg(load, 1);
  if (world->rank() != 0) return;
  json::array memory;
  for (int rank = 0; rank < world->size(); ++rank) memory.push_back(peaks.data_ptr<double>()[rank]);
  const json::object result{{"workload", options.workload},
                            {"recipe", options.recipe},
                            {"dtype", options.dtype},
                            {"master_weights", !options.pure},
                            {"ranks", world->size()},
                            {"tensor", options.tensor},
                            {"threads", at::get_num_threads()},
                            {"tok_s", spread(steps.tokens_per_second)},
                            {"samples_s", spread(steps.samples_per_second)},
                            {"step_s", spread(steps.seconds)},
                            {"gflops_useful", spread(steps.operations_per_second, 1e9)},
                            {"limit_gflops", limit.data_ptr<double>()[0]},
                            {"peak_rss_gb", memory},
                            {"loss", json::array{steps.losses.front(), steps.losses.back()}},
                            {"load1", load[0]}};
  std::cout << json::serialize(result) << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  framework::keep_freed_pages();
  Options options;
  CLI::App app("Trains a workload with random weights and prints what it took.");
  app.add_option("--folder", options.folder, "Folder with NAME.json and NAME.config.json")->required();
  app.add_option("--workload", options.workload, "NAME");
  app.add_option("--recipe", options.recipe, "llm, sa_proj or mlp_gate_up")
      ->check(CLI::IsMember({"llm", "sa_proj", "mlp_gate_up"}));
  app.add_option("--dtype", options.dtype, "float32 or bfloat16")->check(CLI::IsMember({"float32", "bfloat16"}));
  app.add_flag("--pure", options.pure, "bfloat16 without float32 master weights, moments in bfloat16");
  app.add_flag("--recompute", options.recompute, "Recompute activations in the backward pass");
  app.add_option("--tensor", options.tensor, "Ranks of a tensor group");
  app.add_option("--warm-up", options.warm_up, "Steps before the clock starts");
  app.add_option("--steps", options.steps, "Steps that are timed")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    parallel::MpiSession mpi(&argc, &argv);
    try {
      measure(options, mpi.open_world());
    } catch (const std::exception& failure) {
      mpi.abort_all(failure.what());
    }
  } catch (const std::exception& failure) {
    std::cerr << failure.what() << '\n';
    return 1;
  }
}
