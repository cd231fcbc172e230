// SPDX-License-Identifier: Apache-2.0
// From a decoded picture to the float tiles a vision tower takes, equal to transformers 5.23's image processors for
// LLaVA-OneVision, LLaVA-NeXT, LLaVA and CLIP on their Pillow backend (image_processing_pil_llava_onevision.py,
// …_llava_next.py, …_llava.py, …_clip.py).
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "framework/image/anyres.h"
#include "framework/image/pixel_settings.h"

namespace retain::framework {

/// What preprocessor_config.json says. Tiles are cut at `cut` pixels a side, resized to `size` (unless do_resize is
/// off) and, with `crop`, centre-cropped to it: usually all three are the same and only the cutting happens. Without
/// pinpoints a picture is one tile: padded to a square (`pads`), resized to `size` or until its shorter side has it
/// (`keeps_aspect`), and cropped.
struct ProcessorSettings : PixelSettings {
  std::string class_name = "LlavaOnevisionImageProcessor";  ///< as transformers names it, without a back end's suffix
  std::vector<Resolution> pinpoints;  ///< (height, width), in the file's order
  std::int64_t size = 0;
  std::int64_t cut = 0;
  std::optional<std::int64_t> crop;
  bool pads = false;
  bool keeps_aspect = false;

  /// S: side of the finished tiles in pixels.
  std::int64_t side() const { return crop ? *crop : do_resize ? size : cut; }
};

/// What a model's own configuration says about its pictures, for directories without a processor file.
struct ModelPictures {
  std::int64_t tile = 0;              ///< the tower's image_size
  std::vector<Resolution> pinpoints;  ///< (height, width)
  bool clip = false;                  ///< mean and deviation of CLIP; else 0.5, SigLIP's
  bool pads = true;  ///< without pinpoints: a picture is padded to a square; else its middle is cropped
};

/// Reads DIR/preprocessor_config.json, or the image_processor of DIR/processor_config.json. Where neither is there
/// (original LLaVA directories) the settings follow from `model`; a file without pinpoints takes the model's, then its
/// class's. Errors: io and config_invalid (named file and key; no file and no `model`; a tile side unlike the model's),
/// config_unsupported (another processor class or filter).
ProcessorSettings read_processor_settings(const std::filesystem::path& directory,
                                          const std::optional<ModelPictures>& model = std::nullopt);

/// How frames of a video become one tile each: DIR's video settings as transformers' LlavaOnevisionVideoProcessor takes
/// them, else those of pictures. Errors as read_processor_settings().
ProcessorSettings read_frame_settings(const std::filesystem::path& directory, const ModelPictures& model);

/// The settings that follow from a model's configuration alone.
ProcessorSettings settings_for(const ModelPictures& model);

/// True where read_processor_settings() needs no `model`.
bool has_processor_file(const std::filesystem::path& directory);

/// A picture as the tower takes it.
struct ProcessedImage {
  std::vector<float> tiles;  ///< [tiles_count, 3, side, side], row-major
  std::int64_t tiles_count = 0;
  std::int64_t side = 0;
  std::int64_t original_height = 0;
  std::int64_t original_width = 0;
  std::string digest;  ///< picture_key(): of pixels and settings
};

/// How a picture becomes tiles, where there are pinpoints.
enum class Tiling {
  anyres,  ///< the whole picture squashed, then the tiles of its best resolution
  single,  ///< padded to a square with the mean colour: pictures of samples that hold several
};

/// Tiles process_image() makes of a picture of that size.
std::int64_t count_tiles(std::int64_t height, std::int64_t width, const ProcessorSettings& settings,
                         Tiling tiling = Tiling::anyres);

/// Throws Error(image_too_large) for a resolution beyond any use.
ProcessedImage process_image(const Image& image, const ProcessorSettings& settings, Tiling tiling = Tiling::anyres);

/// The digest process_image() would give, without the work.
std::string picture_digest(const Image& image, const ProcessorSettings& settings, Tiling tiling = Tiling::anyres);

}  // namespace retain::framework
