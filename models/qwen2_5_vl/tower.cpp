// SPDX-License-Identifier: Apache-2.0
#include "models/qwen2_5_vl/tower.h"

#include <algorithm>

#include "framework/base/error.h"
#include "models/qwen2_5_vl/windows.h"
#include "parallel/tensor/gemm.h"

namespace retain::models::qwen2_5_vl {
namespace {

/// The first half of the frequencies turns by the row, the second by the column: two tables of half a head side by
/// side.
RotaryTable rotary_of(const WindowPlan& plan, const VisionConfig& config) {
  const std::int64_t half = config.hidden / config.heads / 2;
  const RotaryTable rows = rotary_table(plan.row_R, {half, config.windowed->rope_theta, {}});
  const RotaryTable columns = rotary_table(plan.column_R, {half, config.windowed->rope_theta, {}});
  return {at::cat({rows.cosine_TC, columns.cosine_TC}, 1), at::cat({rows.sine_TC, columns.sine_TC}, 1)};
}

void check_patches(const at::Tensor& patches_RV, const framework::PatchGrid& grid, std::int64_t values,
                   std::int64_t merge) {
  const bool whole = grid.patches() > 0 && grid.rows % merge == 0 && grid.columns % merge == 0;
  if (whole && patches_RV.dim() == 2 && patches_RV.size(0) == grid.patches() && patches_RV.size(1) == values) return;
  throw framework::Error(framework::ErrorKind::data_invalid,
                         {"an image's patches do not fit the vision tower",
                          framework::to_string({grid.patches(), values}) + " in squares of " +
                              std::to_string(merge) + " patches a side",
                          framework::to_string(patches_RV.sizes().vec()),
                          "preprocess images with the model's own preprocessor_config.json"});
}

}  // namespace

Tower::Tower(const VisionConfig& config, const parallel::ParameterSet& parameters, parallel::Communicator& group)
    : config_(config), patch_weight_(parameters.at("vision.patch_embed.proj.weight")) {
  blocks_.reserve(static_cast<std::size_t>(config.layers));
  for (std::int64_t layer = 0; layer < config.layers; ++layer)
    blocks_.emplace_back(config, parameters, "vision.blocks." + std::to_string(layer), group);
}

bool Tower::attends_fully(std::size_t layer) const {
  const std::vector<std::int64_t>& full = config_.windowed->full_layers;
  return std::find(full.begin(), full.end(), static_cast<std::int64_t>(layer)) != full.end();
}

at::Tensor Tower::forward(const at::Tensor& patches_RV, const framework::PatchGrid& grid) const {
  // A convolution whose stride is its kernel is a product over flattened patches.
  const at::Tensor weight_HV = patch_weight_.flatten(1);
  check_patches(patches_RV, grid, weight_HV.size(1), config_.windowed->merge);
  const WindowPlan plan = plan_windows(grid, config_);
  const at::Tensor ordered_RV = patches_RV.index_select(0, plan.patch_order_R).to(weight_HV.options());
  const RotaryTable rotary = rotary_of(plan, config_);
  const RotaryTable placed{rotary.cosine_TC.to(weight_HV.device()), rotary.sine_TC.to(weight_HV.device())};
  at::Tensor hidden_RH = parallel::apply_linear(ordered_RV, weight_HV, {});
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer)
    hidden_RH =
        blocks_[layer].forward(hidden_RH, placed, attends_fully(layer) ? plan.frame_starts : plan.window_starts);
  return hidden_RH;
}

}  // namespace retain::models::qwen2_5_vl
