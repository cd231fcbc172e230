// SPDX-License-Identifier: Apache-2.0
// What tells one family of models from another, as data and a few functions. A family is a folder under models/ and one
// line in models/families.cpp; everything else asks here.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "framework/image/decode.h"
#include "framework/text/tokenizer.h"
#include "models/lmm/batch.h"
#include "models/lmm/config.h"
#include "models/lmm/config_fields.h"
#include "models/lmm/parameter_rows.h"
#include "models/lmm/picture_reader.h"
#include "models/lmm/table.h"
#include "models/lmm/visual_encoder.h"
#include "models/weights/model_writer.h"
#include "models/weights/name_map.h"
#include "parallel/comm/communicator.h"
#include "parallel/parameter.h"

namespace retain::models {

/// One way of writing a family's config.json.
struct ConfigStyle {
  std::string_view architecture;  ///< what `architectures` names
  std::string_view model_type;    ///< what `model_type` names, for files without `architectures`
  /// `directory`: where other files of the model are. LmmConfig::family is filled in by the caller.
  LmmConfig (*read)(const ConfigFields& fields, const std::filesystem::path& directory);
  /// Tells apart the styles of several families that one architecture names; null: all files that name it are of this
  /// style.
  bool (*accepts)(const ConfigFields& fields) = nullptr;
};

struct Family {
  std::string_view name;
  std::span<const ConfigStyle> styles;
  std::span<const Naming> namings;  ///< the hub's first

  /// The chat template of its data (framework/text/chat.h).
  std::string_view (*chat_template)(const LmmConfig& config, const framework::Tokenizer& tokenizer);
  /// Appends the rows of what lies before the decoder, named "vision.*", "projector.*" and "image_newline".
  void (*add_vision_rows)(ParameterRows& rows, const LmmConfig& config);
  /// Floating-point operations of the tower and the projector on one sample.
  double (*vision_cost)(const LmmConfig& config, const Workload& workload);
  /// `parameters` and the tensor `group` outlive the encoder.
  std::unique_ptr<VisualEncoder> (*make_encoder)(const LmmConfig& config, const parallel::ParameterSet& parameters,
                                                 parallel::Communicator& group);
  /// Reads the model directory's processor settings. Errors: those of the family's settings, named file and key.
  std::unique_ptr<PictureReader> (*make_pictures)(const std::filesystem::path& directory, const LmmConfig& config,
                                                  framework::AlphaMode alpha);
  /// config.json and preprocessor_config.json as the hub has them, for models that came in another naming; null where
  /// there is no other.
  SmallFiles (*hub_files)(const LmmConfig& config) = nullptr;
  /// Multimodal positions of a sample whose ids and images are complete (Sample::positions); null where positions count up.
  std::vector<std::array<std::int64_t, 3>> (*positions)(const Sample& sample, const LmmConfig& config) = nullptr;
};

/// All families, in the order they are listed to users.
std::span<const Family* const> families();
/// The family that `config` names. Throws Error(internal) for another.
const Family& family_of(const LmmConfig& config);

}  // namespace retain::models
