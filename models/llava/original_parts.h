// SPDX-License-Identifier: Apache-2.0
// What the original LLaVA codebase keeps outside config.json: the vision tower's configuration and the image token.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/base/json.h"
#include "models/lmm/config_fields.h"

namespace retain::models::llava {

/// A vision tower's configuration and where it was found, for messages.
struct TowerSource {
  framework::json::value document;
  std::string file;
  std::string path;  ///< "vision_config." where the file describes a whole SigLIP, image and text
  const framework::json::object& fields() const;
};

/// From the folder that `mm_vision_tower` names, else from the table of known hub ids. Throws Error(config_unsupported)
/// listing those when it is neither.
TowerSource find_tower(const ConfigFields& fields, const std::filesystem::path& directory);

/// The id of "<image>" in DIR/tokenizer.json; the first id past the tokenizer's when it has none (as the conversion to
/// transformers numbers it, kept below `vocabulary`); transformers' default when there is no tokenizer.
std::int64_t find_image_token(const std::filesystem::path& directory, std::int64_t vocabulary);

/// "(1x1),...,(6x6)": every grid between the corners, in tiles of `tile` pixels, the first number in the outer loop.
std::vector<std::pair<std::int64_t, std::int64_t>> grid_of_tiles(const ConfigFields& fields, std::string_view key,
                                                                 std::int64_t tile);

}  // namespace retain::models::llava
