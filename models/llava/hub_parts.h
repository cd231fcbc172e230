// SPDX-License-Identifier: Apache-2.0
// The small files of a model of LLaVA's build as the hub has them, made from its configuration: for models that came in
// the original codebase's form. Transformers 4's spelling, which transformers 5 reads too.
#pragma once
#include "framework/base/json.h"
#include "models/lmm/config.h"

namespace retain::models::llava {

/// config.json without what says how pictures are tiled.
framework::json::object config_of(const LmmConfig& config, const char* architecture, const char* model_type);
/// preprocessor_config.json likewise.
framework::json::object processor_of(const LmmConfig& config, const char* processor);
/// `image_grid_pinpoints`.
framework::json::array pinpoints_of(const LmmConfig& config);

}  // namespace retain::models::llava
