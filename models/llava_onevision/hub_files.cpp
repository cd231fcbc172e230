// SPDX-License-Identifier: Apache-2.0
#include "models/llava_onevision/hub_files.h"

#include "framework/base/json.h"
#include "models/llava/hub_parts.h"

namespace retain::models::llava_onevision {

SmallFiles hub_files(const LmmConfig& config) {
  framework::json::object model = llava::config_of(config, "LlavaOnevisionForConditionalGeneration", "llava_onevision");
  model["vision_aspect_ratio"] = config.max_tiles ? "anyres_max_" + std::to_string(*config.max_tiles) : "anyres";
  framework::json::object processor = llava::processor_of(config, "LlavaOnevisionImageProcessor");
  for (framework::json::object* file : {&model, &processor})
    (*file)["image_grid_pinpoints"] = llava::pinpoints_of(config);
  return {{"config.json", framework::pretty(model)}, {"preprocessor_config.json", framework::pretty(processor)}};
}

}  // namespace retain::models::llava_onevision
