// SPDX-License-Identifier: Apache-2.0
// The small files of a LLaVA-OneVision model as the hub has them, made from its configuration: for models that came in
// the original codebase's form.
#pragma once
#include <map>
#include <string>

#include "models/lmm/config.h"

namespace retain::models::llava_onevision {

/// config.json and preprocessor_config.json, in transformers 4's spelling, which transformers 5 reads too.
std::map<std::string, std::string> hub_files(const LmmConfig& config);

}  // namespace retain::models::llava_onevision
