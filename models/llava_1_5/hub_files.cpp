// SPDX-License-Identifier: Apache-2.0
#include "models/llava_1_5/hub_files.h"

#include "framework/base/json.h"
#include "models/llava/hub_parts.h"

namespace retain::models::llava_1_5 {

namespace json = framework::json;

SmallFiles hub_files(const LmmConfig& config) {
  json::object model = llava::config_of(config, "LlavaForConditionalGeneration", "llava");
  model["image_seq_length"] = config.vision.patches();
  json::object processor =
      llava::processor_of(config, config.pads_pictures ? "LlavaImageProcessor" : "CLIPImageProcessor");
  processor["size"] = json::object{{"shortest_edge", config.vision.image_size}};
  processor["crop_size"] = json::object{{"height", config.vision.image_size}, {"width", config.vision.image_size}};
  processor["do_center_crop"] = true;
  if (config.pads_pictures) processor["do_pad"] = true;
  return {{"config.json", framework::pretty(model)}, {"preprocessor_config.json", framework::pretty(processor)}};
}

}  // namespace retain::models::llava_1_5
