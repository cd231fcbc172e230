// SPDX-License-Identifier: Apache-2.0
// Qwen2.5-VL's tower and merger, as parameter rows and as cost.
#pragma once
#include "models/lmm/config.h"
#include "models/lmm/parameter_rows.h"
#include "models/lmm/table.h"

namespace retain::models::qwen2_5_vl {

/// "vision.patch_embed", "vision.blocks.<i>" and the merger as "projector". Heads and widths are cut over the tensor
/// group; the fused query, key and value rows by the same heads three times.
void add_vision_rows(ParameterRows& rows, const LmmConfig& config);

/// Floating-point operations of tower and merger on `workload.tiles` pictures of VisionConfig::image_size.
double vision_cost(const LmmConfig& config, const Workload& workload);

}  // namespace retain::models::qwen2_5_vl
