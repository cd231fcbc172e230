// SPDX-License-Identifier: Apache-2.0
// The small files of a LLaVA-1.5 model as the hub has them, made from its configuration: for models that came in the
// original codebase's form.
#pragma once
#include "models/lmm/config.h"
#include "models/weights/model_writer.h"

namespace retain::models::llava_1_5 {

/// config.json and preprocessor_config.json.
SmallFiles hub_files(const LmmConfig& config);

}  // namespace retain::models::llava_1_5
