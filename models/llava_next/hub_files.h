// SPDX-License-Identifier: Apache-2.0
// The small files of a LLaVA-NeXT model as the hub has them, made from its configuration: for models that came in the
// original codebase's form.
#pragma once
#include "models/lmm/config.h"
#include "models/weights/model_writer.h"

namespace retain::models::llava_next {

/// config.json and preprocessor_config.json. Throws Error(config_unsupported) for a model with a limit of tiles
/// (anyres_max_N), which transformers' LLaVA-NeXT does not have.
SmallFiles hub_files(const LmmConfig& config);

}  // namespace retain::models::llava_next
