// SPDX-License-Identifier: Apache-2.0
// A model directory as a run needs it: configuration, parameter table for the mesh, tokenizer and processor; models are made
// from it with the weights of the directory, of a stage, or of a blend.
#pragma once
#include <filesystem>
#include <memory>

#include "framework/base/log.h"
#include "framework/store/tensor_source.h"
#include "models/lmm/lmm.h"
#include "models/lmm/sample_builder.h"
#include "models/vision/feature_cache.h"
#include "parallel/mesh.h"
#include "recipes/methods/method.h"

namespace retain::recipes {

/// A method whose own parameters a model carries; null: none. Where the weights lack them they begin as the method says, by
/// this seed and stream; `first`: the model is the origin of a branch whose first stage is to be taught.
struct ModelMethod {
  const Method* method = nullptr;
  std::uint64_t seed = 0;
  std::string stream;
  bool first = false;
};

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
  /// Collective: a model whose ranks read their own slices of `weights`, checked for NaN and infinity when asked. Throws
  /// Error(checkpoint_surplus_tensor) where `weights` hold parameters of a method that is not named.
  std::unique_ptr<models::Lmm> load(const framework::TensorSource& weights, const models::LmmOptions& options, bool check_finite,
                                    const ModelMethod& with = {}) const;
  /// The same for people: logs what the ranks read (load_summary). A rank that throws leaves the others waiting.
  std::unique_ptr<models::Lmm> load_and_tell(const framework::TensorSource& weights, const models::LmmOptions& options,
                                             bool check_finite, const framework::Log& log, const ModelMethod& with = {}) const;
  /// Bytes of the parameters this rank holds.
  std::int64_t held_bytes() const;

 private:
  std::filesystem::path directory_;
  const parallel::Mesh& mesh_;
  models::LmmConfig config_;
  parallel::PipelinePartition partition_;
  parallel::ParameterTable table_;
  models::SampleBuilder builder_;
};

/// A rank's parameters with those of a method after them, which come from `weights` or begin as the method says; `weights` may
/// be null. The extension is the method's.
parallel::ParameterSet extended_parameters(const models::LmmConfig& config, const parallel::ParameterSet& model,
                                           const parallel::ParameterTable& extended, const parallel::Mesh& mesh, const ModelMethod& with,
                                           const framework::TensorSource* weights);

}  // namespace retain::recipes
