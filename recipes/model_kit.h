// SPDX-License-Identifier: Apache-2.0
// A model directory as a run needs it: configuration, parameter table for the mesh, tokenizer and processor; models are made
// from it with the weights of the directory, of a stage, or of a blend.
#pragma once
#include <filesystem>
#include <memory>

#include "framework/store/tensor_source.h"
#include "models/lmm/lmm.h"
#include "models/lmm/sample_builder.h"
#include "models/vision/feature_cache.h"
#include "parallel/mesh.h"

namespace retain::recipes {

class ModelKit {
 public:
  /// `mesh` outlives this. Throws what read_config, build_table (Error(mesh_invalid)) and SampleBuilder throw.
  ModelKit(std::filesystem::path directory, const parallel::Mesh& mesh, framework::DType dtype, framework::LabelMode mode);

  const std::filesystem::path& directory() const noexcept { return directory_; }
  const models::LmmConfig& config() const noexcept { return config_; }
  const parallel::ParameterTable& table() const noexcept { return table_; }
  const models::SampleBuilder& builder() const noexcept { return builder_; }

  /// The directory's own weights.
  std::unique_ptr<framework::TensorSource> open_weights() const;
  /// Collective: a model whose ranks read their own slices of `weights`, checked for NaN and infinity when asked.
  std::unique_ptr<models::Lmm> load(const framework::TensorSource& weights, const models::LmmOptions& options, bool check_finite) const;

 private:
  std::filesystem::path directory_;
  const parallel::Mesh& mesh_;
  models::LmmConfig config_;
  parallel::PipelinePartition partition_;
  parallel::ParameterTable table_;
  models::SampleBuilder builder_;
};

}  // namespace retain::recipes
