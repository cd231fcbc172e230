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
#include "models/llava/config_parts.h"
#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"

namespace retain::models::llava {

/// A vision tower's configuration and where it was found, for messages.
struct TowerSource {
  framework::json::value document;
  std::string file;
  std::string path;  ///< "vision_config." where the file describes a whole SigLIP, image and text
  const framework::json::object& fields() const;
};

/// From the folder that `mm_vision_tower` names, else from the table of known hub ids of towers of `kind`. Throws
/// Error(config_unsupported) listing those when it is neither.
TowerSource find_tower(const ConfigFields& fields, const std::filesystem::path& directory, std::string_view kind);

/// What the original codebase's models differ in.
struct OriginalModel {
  std::string_view decoder;  ///< as in models/decoder/text_config.h
  std::string_view tower;    ///< "siglip" or "clip"
  std::int64_t image_token;  ///< where there is no tokenizer: that of the transformers class
};

/// The fields they share: decoder, tower, projector, image token, end tokens, dtype. LLaVA deletes a SigLIP tower's
/// last layer, whatever `mm_vision_select_layer` says, so one layer fewer than the tower's configuration is stored; a
/// CLIP tower is stored whole and `mm_vision_select_layer` chooses among its hidden states.
LmmConfig read_original_parts(const ConfigFields& fields, const std::filesystem::path& directory,
                              const OriginalModel& model);

/// Throws Error(config_unsupported) where `key` is there and not `value`.
void require_only(const ConfigFields& fields, std::string_view key, const char* value);

/// The id of "<image>" in DIR/tokenizer.json; the first id past the tokenizer's when it has none (as the conversion to
/// transformers numbers it), or, with no row for that among `vocabulary`, its unknown token's, which text never gives,
/// or the last; `fallback` when there is no tokenizer.
std::int64_t find_image_token(const std::filesystem::path& directory, std::int64_t vocabulary, std::int64_t fallback);

/// `image_grid_pinpoints` as (height, width); the file, like `fallback`, says (width, height).
Pinpoints read_original_pinpoints(const ConfigFields& fields, std::int64_t tile, Pinpoints fallback);

/// "(1x1),...,(6x6)": every grid between the corners, in tiles of `tile` pixels, the first number in the outer loop.
std::vector<std::pair<std::int64_t, std::int64_t>> grid_of_tiles(const ConfigFields& fields, std::string_view key,
                                                                 std::int64_t tile);

}  // namespace retain::models::llava
