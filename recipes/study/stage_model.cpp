// SPDX-License-Identifier: Apache-2.0
#include "recipes/study/stage_model.h"

#include "framework/store/stage_reader.h"
#include "recipes/methods/stage_method.h"

namespace retain::recipes {
namespace {

models::FeatureCacheLimits cache_limits(const Experiment& experiment) {
  models::FeatureCacheLimits limits;
  limits.memory_bytes = experiment.feature_memory;
  limits.folder_bytes = experiment.feature_disk;
  if (experiment.feature_disk > 0) limits.folder = experiment.store / "features";
  return limits;
}

}  // namespace

StageModel::StageModel(const ModelKit& kit, parallel::ShardedStore& store, const Experiment& experiment, const framework::Log& log)
    : kit_(kit), store_(store), experiment_(experiment), log_(log), features_(cache_limits(experiment)) {}

models::Lmm& StageModel::use(const std::string& stage, const std::string& reading) {
  if (!model_ || stage_ != stage) {
    store_.settle(stage);
    const framework::StageReader reader(store_.store(), stage);
    method_ = method_in(store_.store(), reader, kit_.table(), experiment_.methods);
    load(stage, {method_.get(), 0, ""});
  }
  if (method_) method_->read_as(*model_, reading.empty() ? method_->readings().front() : reading);
  return *model_;
}

models::Lmm& StageModel::begin_teaching(const std::string& stage, const std::shared_ptr<const Method>& method, std::uint64_t seed,
                                        const std::string& stream, bool first) {
  if (method && !method->own_parameters(kit_.table()).empty()) {
    method_ = method;
    load(stage, {method_.get(), seed, stream, first});
  } else {
    use(stage);
  }
  stage_.clear();
  return *model_;
}

void StageModel::load(const std::string& stage, const ModelMethod& with) {
  model_.reset();
  models::LmmOptions options;
  options.recompute_activations = experiment_.train.recompute;
  options.features = &features_;
  model_ = kit_.load_and_tell(framework::StageReader(store_.store(), stage), options, true, log_, with);
  stage_ = stage;
}

}  // namespace retain::recipes
