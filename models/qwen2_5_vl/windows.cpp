// SPDX-License-Identifier: Apache-2.0
#include "models/qwen2_5_vl/windows.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace retain::models::qwen2_5_vl {

WindowPlan plan_windows(const framework::PatchGrid& grid, const VisionConfig& config) {
  const std::int64_t merge = config.windowed->merge, unit = merge * merge;
  const std::int64_t window = config.windowed->window_tokens(config.patch_size);
  const std::int64_t unit_rows = grid.rows / merge, unit_columns = grid.columns / merge;
  WindowPlan plan;
  plan.window_starts = {0};
  plan.frame_starts = {0};
  std::vector<std::int64_t> units, patches, rows, columns;
  const auto add_unit = [&](std::int64_t frame, std::int64_t row, std::int64_t column) {
    units.push_back((frame * unit_rows + row) * unit_columns + column);
    for (std::int64_t i = 0; i < unit; ++i) {
      patches.push_back(units.back() * unit + i);
      rows.push_back(row * merge + i / merge);
      columns.push_back(column * merge + i % merge);
    }
  };
  for (std::int64_t frame = 0; frame < grid.frames; ++frame) {
    for (std::int64_t top = 0; top < unit_rows; top += window)
      for (std::int64_t left = 0; left < unit_columns; left += window) {
        for (std::int64_t row = top; row < std::min(top + window, unit_rows); ++row)
          for (std::int64_t column = left; column < std::min(left + window, unit_columns); ++column)
            add_unit(frame, row, column);
        plan.window_starts.push_back(static_cast<std::int64_t>(patches.size()));
      }
    plan.frame_starts.push_back(static_cast<std::int64_t>(patches.size()));
  }
  plan.unit_order_U = at::tensor(units, at::kLong);
  plan.patch_order_R = at::tensor(patches, at::kLong);
  plan.row_R = at::tensor(rows, at::kLong);
  plan.column_R = at::tensor(columns, at::kLong);
  return plan;
}

}  // namespace retain::models::qwen2_5_vl
