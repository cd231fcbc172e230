// SPDX-License-Identifier: Apache-2.0
// What a recipe trains and what that costs, for people: tensors, counts, bytes per rank, and what freezing saves.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/lmm/config.h"
#include "models/lmm/table.h"
#include "parallel/mesh.h"
#include "parallel/parameter.h"
#include "recipes/settings/train_settings.h"
#include "recipes/training/trainable.h"

namespace retain::recipes {

/// Trained parameters that differ in their layer only, such as language.layers.*.mlp.up_proj.weight.
struct ParameterKind {
  std::string name;
  std::size_t group = 0;
  std::int64_t tensors = 0;
  std::int64_t elements = 0;
};
std::vector<ParameterKind> kinds_of(const parallel::ParameterTable& table, const std::vector<Selected>& selected);

/// Bytes on one rank.
struct RankBytes {
  std::int64_t trained_elements = 0;
  std::int64_t weights = 0;    ///< all parameters held, trained or not
  std::int64_t gradients = 0;  ///< of the trained ones
  std::int64_t optimizer = 0;  ///< moments and master weights; its share where ZeRO-1 is on
};
RankBytes rank_bytes(const parallel::ParameterTable& table, const std::vector<Selected>& selected,
                     const TrainSettings& settings, const parallel::MeshShape& shape, int pipeline_stage, int tensor_rank);

/// Floating-point operations of the backward pass over one sample, matrix products of parameters only (attention scores and
/// element-wise work are left out of both): 2·rows·elements for a weight's gradient where it is trained, and as many for its
/// input's gradient where something before it in the forward pass is trained.
struct BackwardWork {
  double everything_trained = 0;
  double as_selected = 0;
};
BackwardWork backward_work(const models::LmmConfig& config, const parallel::ParameterTable& table,
                           const std::vector<Selected>& selected, const models::Workload& workload = {});

/// Lines of at most 120 characters: one a kind of parameter (layers taken together) with tensors, elements and learning rate;
/// bytes per rank for every pipeline stage; what freezing saves. Ends with a newline.
std::string trainable_table(const models::LmmConfig& config, const parallel::ParameterTable& table,
                            const std::vector<Selected>& selected, const std::vector<TrainableGroup>& groups,
                            const TrainSettings& settings, const parallel::MeshShape& shape);

}  // namespace retain::recipes
