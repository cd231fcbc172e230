// SPDX-License-Identifier: Apache-2.0
#include "recipes/study/model_kit.h"

#include <ATen/ATen.h>

#include <chrono>

#include "framework/base/error.h"
#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"
#include "parallel/scalar_type.h"
#include "parallel/sharded_store.h"
#include "recipes/study/load_summary.h"

namespace retain::recipes {

ModelKit::ModelKit(std::filesystem::path directory, const parallel::Mesh& mesh, framework::DType dtype, framework::LabelMode mode)
    : directory_(std::move(directory)),
      mesh_(mesh),
      config_(models::read_config(directory_)),
      partition_(models::partition_for(config_, mesh.shape().pipeline)),
      table_(models::build_table(config_, mesh.shape().tensor, partition_, dtype)),
      builder_(directory_, config_, mode) {}

std::unique_ptr<framework::TensorSource> ModelKit::open_weights() const {
  return std::make_unique<models::DirectorySource>(directory_, config_);
}

std::unique_ptr<models::Lmm> ModelKit::load(const framework::TensorSource& weights, const models::LmmOptions& options, bool check_finite,
                                            const ModelMethod& with) const {
  models::LoadOptions load;
  load.check_finite = check_finite;
  const parallel::ParameterTable table = extended_table(table_, with.method);
  for (const framework::TensorInfo& tensor : weights.tensors())
    if (!table.find(tensor.name))
      throw framework::Error(framework::ErrorKind::checkpoint_surplus_tensor,
                             {"the weights hold a parameter that neither the model nor the recipe's method has",
                              "the model's own parameters", tensor.name,
                              "use a stage that was taught without it, or the method that made it"});
  parallel::ParameterSet parameters =
      models::load_parameters(weights, table_, mesh_.position().tensor, mesh_.position().pipeline, load);
  return std::make_unique<models::Lmm>(config_, mesh_, partition_, table,
                                       extended_parameters(config_, parameters, table, mesh_, with, &weights), options);
}

std::unique_ptr<models::Lmm> ModelKit::load_and_tell(const framework::TensorSource& weights, const models::LmmOptions& options,
                                                     bool check_finite, const framework::Log& log, const ModelMethod& with) const {
  const std::int64_t read_before = weights.bytes_read();
  const auto start = std::chrono::steady_clock::now();
  auto model = load(weights, options, check_finite, with);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::int64_t whole = 0;
  for (const parallel::ParameterSpec& row : table_.rows()) whole += row.bytes();
  log.info(load_summary(mesh_.world(), weights.bytes_read() - read_before, whole, seconds.count()));
  return model;
}

std::int64_t ModelKit::held_bytes() const {
  std::int64_t bytes = 0;
  for (const parallel::ParameterSpec& row : table_.rows())
    if (row.held_by(mesh_.position().pipeline))
      bytes += framework::elements_of(row.local_shape(mesh_.position().tensor)) * framework::size_of(row.dtype);
  return bytes;
}

parallel::ParameterSet extended_parameters(const models::LmmConfig& config, const parallel::ParameterSet& model,
                                           const parallel::ParameterTable& extended, const parallel::Mesh& mesh, const ModelMethod& with,
                                           const framework::TensorSource* weights) {
  if (!with.method) return model;
  std::vector<parallel::Parameter> stored;
  std::vector<parallel::Parameter> all = model.all();
  for (const parallel::ParameterSpec& row : extended.rows()) {
    if (model.has(row.name) || !row.held_by(mesh.position().pipeline)) continue;
    all.push_back({row, at::empty(row.local_shape(mesh.position().tensor), parallel::scalar_type(row.dtype))});
    if (weights && weights->find(row.name))
      stored.push_back(all.back());
    else
      with.method->initialise(all.back(), {config, model, mesh.position().tensor, with.seed, with.stream, with.first});
  }
  parallel::ParameterSet found(std::move(stored));  // shares its memory with `all`
  if (!found.all().empty()) parallel::ShardedStore::read(*weights, mesh, found);
  return parallel::ParameterSet(std::move(all), with.method->extension(extended));
}

}  // namespace retain::recipes
