// SPDX-License-Identifier: Apache-2.0
#include "recipes/model_kit.h"

#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"

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

std::unique_ptr<models::Lmm> ModelKit::load(const framework::TensorSource& weights, const models::LmmOptions& options,
                                            bool check_finite) const {
  models::LoadOptions load;
  load.check_finite = check_finite;
  parallel::ParameterSet parameters =
      models::load_parameters(weights, table_, mesh_.position().tensor, mesh_.position().pipeline, load);
  return std::make_unique<models::Lmm>(config_, mesh_, partition_, table_, std::move(parameters), options);
}

}  // namespace retain::recipes
