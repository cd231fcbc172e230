// SPDX-License-Identifier: Apache-2.0
// The order in which Qwen2.5-VL's tower works on a picture's patches, so that every attention window lies together.
// A unit is a square of merged patches. Shape suffixes: R patches, U units.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "framework/image/patches.h"
#include "models/lmm/config.h"

namespace retain::models::qwen2_5_vl {

/// Everything but `unit_order_U` is in window order.
struct WindowPlan {
  at::Tensor unit_order_U;                  ///< int64: which unit of the natural order stands where
  at::Tensor patch_order_R;                 ///< int64: the same for patches
  at::Tensor row_R;                         ///< int64 row of each patch in its frame
  at::Tensor column_R;                      ///< int64 column
  std::vector<std::int64_t> window_starts;  ///< windows + 1 offsets into R
  std::vector<std::int64_t> frame_starts;   ///< frames + 1 offsets into R
};

/// Natural order is that of framework::ProcessedPatches: frame, unit row, unit column, then the unit's patches. Windows
/// are cut from the top left corner of every frame; those at the right and bottom are smaller where they do not divide
/// the grid (transformers 5.23, vision_utils.get_vision_window_index).
WindowPlan plan_windows(const framework::PatchGrid& grid, const VisionConfig& config);

}  // namespace retain::models::qwen2_5_vl
