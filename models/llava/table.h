// SPDX-License-Identifier: Apache-2.0
// What lies before the decoder in models of LLaVA's build, as parameter rows and as cost.
#pragma once
#include "models/lmm/config.h"
#include "models/lmm/parameter_rows.h"
#include "models/lmm/table.h"

namespace retain::models::llava {

/// The tower ("vision.*", heads and MLP cut over the tensor group), the two-layer projector and image_newline.
void add_vision_rows(ParameterRows& rows, const LmmConfig& config);

/// Floating-point operations of tower and projector on `workload.tiles` tiles.
double vision_cost(const LmmConfig& config, const Workload& workload);

}  // namespace retain::models::llava
