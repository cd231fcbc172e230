// SPDX-License-Identifier: Apache-2.0
#include "recipes/planning/plan.h"

#include <algorithm>
#include <filesystem>

#include "framework/base/error.h"
#include "framework/data/record_set.h"
#include "models/lmm/sample_builder.h"
#include "models/lmm/table.h"
#include "parallel/tensor/gemm.h"
#include "recipes/settings/source_settings.h"

namespace retain::recipes {

using framework::Error;
using framework::ErrorKind;
using parallel::MeshShape;

namespace {

constexpr std::int64_t kRecordsLookedAt = 512;  // of a task, spread over it
constexpr std::int64_t kNewProductsABatch = 4;  // measured (bench/planner.py): most batches are as long as one before

void add(SampleSizes& sizes, const models::Sample& sample) {
  BatchSize one;
  one.tokens = static_cast<std::int64_t>(sample.ids.size());
  one.answers = sample.answers();
  for (const models::ImageInput& image : sample.images) {
    one.patches += image.patches;
    one.visual_tokens += image.tokens;
  }
  for (const auto member : {&BatchSize::tokens, &BatchSize::answers, &BatchSize::patches, &BatchSize::visual_tokens}) {
    sizes.mean.*member += one.*member;
    sizes.largest.*member = std::max(sizes.largest.*member, one.*member);
  }
  ++sizes.looked_at;
}

bool has_tokenizer(const std::filesystem::path& model) {
  return std::filesystem::exists(model / "tokenizer.json") || std::filesystem::exists(model / "vocab.json");
}

BatchSize micro_batch_of(const SampleSizes& sizes, const TrainSettings& settings) {
  BatchSize batch = sizes.largest;
  for (const auto member : {&BatchSize::tokens, &BatchSize::answers, &BatchSize::patches, &BatchSize::visual_tokens})
    batch.*member *= settings.micro_batch;
  const std::int64_t limit = std::max(settings.micro_batch_tokens, sizes.largest.tokens);
  if (settings.micro_batch_tokens > 0) batch.tokens = std::min(batch.tokens, limit);
  return batch;
}

bool trains_tower(const std::vector<Selected>& selected) {
  return std::any_of(selected.begin(), selected.end(), [](const Selected& one) { return one.name.starts_with("vision."); });
}

/// Of one sample: forward, and backward as far as the recipe needs it.
double operations_of_sample(const models::LmmConfig& config, const parallel::ParameterTable& table,
                            const std::vector<Selected>& selected, const BatchSize& mean) {
  models::Workload workload;
  workload.tiles = mean.patches / std::max<std::int64_t>(1, config.vision.patches());
  workload.text_tokens = std::max<std::int64_t>(0, mean.tokens - workload.tiles * config.vision.tile_tokens());
  workload.answers = mean.answers;
  const models::ForwardCost forward = models::forward_cost(config, workload);
  return forward.vision + forward.decoder_layer * static_cast<double>(config.text.layers) + forward.head +
         backward_work(config, table, selected, workload).as_selected;
}

/// Different records of so many that a stage sees.
std::int64_t records_taught(const TrainSettings& settings, std::int64_t records) {
  return settings.max_steps > 0 ? std::min(records, settings.max_steps * settings.global_batch) : records;
}

class Planner {
 public:
  Planner(const Experiment& experiment, const models::LmmConfig& config, const PlanRequest& request, const SampleSizes& sizes)
      : experiment_(experiment), config_(config), request_(request), sizes_(sizes), batch_(micro_batch_of(sizes, experiment.train)) {
    const auto table = models::build_table(config, 1, models::partition_for(config, 1), experiment.dtype);
    for (const Recipe& recipe : experiment.recipes)
      if (!trains_tower(select(extended_table(table, recipe.method.get()), recipe.groups, recipe.method.get())))
        frozen_tower_.push_back(&recipe);
  }

  RecipePlan plan(const Recipe& recipe) const {
    RecipePlan result{recipe.name, {}, std::nullopt};
    for (int pipeline = 1; pipeline <= request_.ranks; ++pipeline)
      for (int tensor = 1; tensor * pipeline <= request_.ranks; ++tensor)
        if (request_.ranks % (tensor * pipeline) == 0)
          result.layouts.push_back(layout({request_.ranks / (tensor * pipeline), pipeline, tensor}, recipe));
    for (std::size_t i = 0; i < result.layouts.size(); ++i)
      if (result.layouts[i].fits && (!result.chosen || better(result.layouts[i], result.layouts[*result.chosen]))) result.chosen = i;
    return result;
  }

  LayoutPlan layout(const MeshShape& shape, const Recipe& recipe) const {
    LayoutPlan result;
    result.shape = shape;
    try {
      fill(result, recipe);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::mesh_invalid) throw;
      result.fits = false;
      result.obstacle = error.parts().what;
    }
    return result;
  }

 private:
  static std::int64_t peak(const LayoutPlan& layout) { return layout.ranks.at(layout.fullest).total(); }
  static bool better(const LayoutPlan& a, const LayoutPlan& b) {
    return a.seconds && b.seconds ? *a.seconds < *b.seconds : peak(a) < peak(b);
  }

  void fill(LayoutPlan& result, const Recipe& recipe) const {
    const MeshShape& shape = result.shape;
    const TrainSettings settings = recipe.settings(experiment_.train);
    const auto partition = models::partition_for(config_, shape.pipeline);
    const auto table = extended_table(models::build_table(config_, shape.tensor, partition, experiment_.dtype), recipe.method.get());
    const auto selected = select(table, recipe.groups, recipe.method.get());
    const MemoryRequest request{config_, table, partition, selected, settings, shape, experiment_.dtype, batch_, features_kept(shape.data),
                                recipe.method.get(), experiment_.store_asynchronous, kept_products(settings, shape.data)};
    for (int stage = 0; stage < shape.pipeline; ++stage)
      for (int rank = 0; rank < shape.tensor; ++rank) {
        result.ranks.push_back(rank_memory(request, stage, rank));
        if (result.ranks.back().total() > result.ranks[result.fullest].total()) result.fullest = result.ranks.size() - 1;
      }
    result.fits = request_.memory == 0 || peak(result) <= request_.memory;
    result.operations = static_cast<double>(settings.global_batch) * operations_of_sample(config_, table, selected, sizes_.mean);
    const std::int64_t samples = std::max<std::int64_t>(1, settings.global_batch / shape.data);
    const double micro_batches = static_cast<double>((samples + settings.micro_batch - 1) / settings.micro_batch);
    result.bubble = (shape.pipeline - 1) / (micro_batches + shape.pipeline - 1);
    result.message_bytes = messages(result, static_cast<double>(samples), selected);
    if (request_.flops <= 0) return;
    result.seconds = result.operations / (request_.flops * shape.ranks()) / (1 - result.bubble);
    if (request_.bandwidth > 0) *result.seconds += result.message_bytes / request_.bandwidth;
  }

  /// Batches of other lengths need other products than those before, and so do generated answers.
  std::int64_t kept_products(const TrainSettings& settings, std::int64_t replicas) const {
    if (sizes_.of_one_length && experiment_.benchmarks.empty() && experiment_.probes.empty()) return 0;
    if (!experiment_.benchmarks.empty() || experiment_.tasks.empty()) return parallel::kKeptProducts;
    std::int64_t steps = 0;
    for (const Task& task : experiment_.tasks) {
      if (task.settings.max_steps <= 0) return parallel::kKeptProducts;
      steps += task.settings.max_steps;
    }
    const std::int64_t batches = steps * settings.global_batch / (settings.micro_batch * replicas);
    return std::min<std::int64_t>(parallel::kKeptProducts, kNewProductsABatch * batches);
  }

  /// A run keeps them from one recipe's stages to the next's, which may not use them.
  std::int64_t features_kept(std::int64_t replicas) const {
    std::int64_t most = 0;
    for (const Recipe* recipe : frozen_tower_) most = std::max(most, features_kept(replicas, *recipe));
    return most;
  }

  /// Of the pictures a rank meets: in one epoch every replica has its own part of the records.
  /// Every epoch and seed deals the pictures out to the replicas anew, and a replica keeps what it has seen; replay deals without end.
  std::int64_t features_kept(std::int64_t replicas, const Recipe& recipe) const {
    std::int64_t epochs = 1;
    for (const Task& task : experiment_.tasks) epochs = std::max(epochs, task.settings.epochs);
    const auto seeds = std::max<std::int64_t>(1, static_cast<std::int64_t>(experiment_.study.seeds.size()));
    const bool all = recipe.method && recipe.method->replayed() > 0;
    const std::int64_t deals = all ? replicas : std::min(epochs * seeds, replicas);
    const std::int64_t patches = sizes_.patches_in_all / replicas * deals;
    const std::int64_t whole = patches * config_.vision.hidden * framework::size_of(experiment_.dtype);
    return sizes_.looked_at > 0 ? std::min(experiment_.feature_memory, whole) : experiment_.feature_memory;
  }

  /// Ring reductions of a decoder layer (two forward, two backward), of gradients, and activations between pipeline stages.
  double messages(const LayoutPlan& layout, double samples, const std::vector<Selected>& selected) const {
    const MeshShape& shape = layout.shape;
    const double activation =
        samples * static_cast<double>(sizes_.mean.tokens * config_.text.hidden * framework::size_of(experiment_.dtype));
    const double layers = static_cast<double>(config_.text.layers) / shape.pipeline;
    const int passes = selected.empty() ? 2 : 4;
    double bytes = 0;
    if (shape.tensor > 1) bytes += passes * layers * activation * 2 * (shape.tensor - 1) / shape.tensor;
    if (shape.pipeline > 1) bytes += activation * passes / 2;
    if (shape.data > 1)
      bytes += static_cast<double>(layout.ranks[layout.fullest].state.gradients) * 2 * (shape.data - 1) / shape.data;
    return bytes;
  }

  const Experiment& experiment_;
  const models::LmmConfig& config_;
  const PlanRequest& request_;
  const SampleSizes& sizes_;
  BatchSize batch_;
  std::vector<const Recipe*> frozen_tower_;  // recipes whose features of pictures may be kept
};

}  // namespace

SampleSizes look_at_tasks(const Experiment& experiment, const models::LmmConfig& config) {
  SampleSizes sizes;
  const auto mode = experiment.mode == Mode::faithful ? framework::LabelMode::faithful : framework::LabelMode::clean;
  const models::SampleBuilder builder(experiment.model, config, mode);
  double patches = 0;
  for (const Task& task : experiment.tasks) {
    const auto records = load_records(task);
    const std::int64_t step = std::max<std::int64_t>(1, records.size() / kRecordsLookedAt);
    const std::int64_t seen = sizes.looked_at, patches_seen = sizes.mean.patches;
    for (std::int64_t i = 0; i < records.size(); i += step) {
      try {
        add(sizes, builder.training_sample(records.at(i), models::Pictures::sizes));
      } catch (const Error&) {
        continue;
      }
    }
    if (sizes.looked_at > seen)
      patches += static_cast<double>(sizes.mean.patches - patches_seen) / static_cast<double>(sizes.looked_at - seen) *
                 static_cast<double>(records_taught(task.settings, records.size()));
  }
  if (sizes.looked_at == 0) throw Error(ErrorKind::data_empty, "no record of the tasks can be used: see `retain run --dry-run`");
  sizes.of_one_length = sizes.mean.tokens == sizes.largest.tokens * sizes.looked_at;
  for (const auto member : {&BatchSize::tokens, &BatchSize::answers, &BatchSize::patches, &BatchSize::visual_tokens})
    sizes.mean.*member /= sizes.looked_at;
  sizes.patches_in_all = static_cast<std::int64_t>(patches);
  return sizes;
}

RankMemory plan_rank(const Experiment& experiment, const models::LmmConfig& config, const SampleSizes& sizes, const Recipe& recipe,
                     const MeshShape& shape, int pipeline_stage, int tensor_rank) {
  PlanRequest request;
  request.ranks = shape.ranks();
  const LayoutPlan layout = Planner(experiment, config, request, sizes).layout(shape, recipe);
  if (!layout.obstacle.empty()) throw Error(ErrorKind::mesh_invalid, layout.obstacle);
  return layout.ranks.at(static_cast<std::size_t>(pipeline_stage * shape.tensor + tensor_rank));
}

Plan make_plan(const Experiment& experiment, const PlanRequest& request) {
  if (experiment.model.empty())
    throw Error(ErrorKind::config_invalid, {"model.path is not set", "a folder with config.json", "nothing",
                                            "name it in [model] or with --set model.path=DIR"});
  const models::LmmConfig config = models::read_config(experiment.model);
  Plan plan;
  plan.family = config.family;
  plan.sizes = !experiment.tasks.empty() && has_tokenizer(experiment.model) ? look_at_tasks(experiment, config) : request.assumed;
  plan.parameters = models::build_table(config, 1, models::partition_for(config, 1), experiment.dtype).elements();
  const Planner planner(experiment, config, request, plan.sizes);
  for (const Recipe& recipe : experiment.recipes) plan.recipes.push_back(planner.plan(recipe));
  return plan;
}

}  // namespace retain::recipes
