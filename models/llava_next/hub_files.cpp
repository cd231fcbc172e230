// SPDX-License-Identifier: Apache-2.0
#include "models/llava_next/hub_files.h"

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/llava/hub_parts.h"

namespace retain::models::llava_next {

namespace json = framework::json;

SmallFiles hub_files(const LmmConfig& config) {
  if (config.max_tiles)
    throw framework::Error(
        framework::ErrorKind::config_unsupported,
        {"transformers' LLaVA-NeXT has no limit of tiles, which this model needs", "image_aspect_ratio anyres",
         "anyres_max_" + std::to_string(*config.max_tiles), "export in the naming the model came in"});
  json::object model = llava::config_of(config, "LlavaNextForConditionalGeneration", "llava_next");
  model["image_seq_length"] = config.vision.patches();
  json::object processor = llava::processor_of(config, "LlavaNextImageProcessor");
  processor["size"] = json::object{{"shortest_edge", config.vision.image_size}};
  processor["crop_size"] = json::object{{"height", config.vision.image_size}, {"width", config.vision.image_size}};
  processor["do_center_crop"] = true;
  for (json::object* file : {&model, &processor}) (*file)["image_grid_pinpoints"] = llava::pinpoints_of(config);
  return {{"config.json", framework::pretty(model)}, {"preprocessor_config.json", framework::pretty(processor)}};
}

}  // namespace retain::models::llava_next
