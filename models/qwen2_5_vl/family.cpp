// SPDX-License-Identifier: Apache-2.0
#include "models/qwen2_5_vl/family.h"

#include <array>

#include "models/qwen2_5_vl/config.h"
#include "models/qwen2_5_vl/encoder.h"
#include "models/qwen2_5_vl/names.h"
#include "models/qwen2_5_vl/pictures.h"
#include "models/qwen2_5_vl/positions.h"
#include "models/qwen2_5_vl/table.h"

namespace retain::models::qwen2_5_vl {
namespace {

constexpr std::array<ConfigStyle, 1> kStyles{{{"Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl", read_config}}};

std::string_view chat_template(const LmmConfig&, const framework::Tokenizer&) {
  return "qwen2_5_vl";
}

}  // namespace

constinit const Family kFamily{.name = "qwen2_5_vl",
                               .styles = kStyles,
                               .namings = kNamings,
                               .chat_template = chat_template,
                               .add_vision_rows = add_vision_rows,
                               .vision_cost = vision_cost,
                               .make_encoder = make_encoder,
                               .make_pictures = make_pictures,
                               .positions = positions};

}  // namespace retain::models::qwen2_5_vl
