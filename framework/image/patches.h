// SPDX-License-Identifier: Apache-2.0
// From decoded pictures to the flattened patches Qwen2-VL's and Qwen2.5-VL's towers take, equal to transformers 5.23's
// Qwen2VLImageProcessor on its Pillow backend (image_processing_pil_qwen2_vl.py); videos as its Qwen2VLVideoProcessor
// cuts them (video_processing_qwen2_vl.py), resized as pictures are.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/image/image.h"
#include "framework/image/pixel_settings.h"
#include "framework/image/smart_resize.h"

namespace retain::framework {

/// The processor class that makes patches instead of tiles.
inline constexpr std::string_view kPatchProcessor = "Qwen2VLImageProcessor";

/// What preprocessor_config.json says.
struct PatchSettings : PixelSettings {
  std::int64_t patch = 14;  ///< pixels along a side
  std::int64_t merge = 2;   ///< patches along a side of what becomes one visual token
  std::int64_t frames = 2;  ///< that one patch spans; a still picture is repeated
  std::int64_t min_pixels = 56 * 56;
  std::int64_t max_pixels = 28 * 28 * 1280;

  bool caps_videos = false;  ///< of a long video, frames share `video_tokens` tokens
  std::int64_t video_tokens = 128000;

  SmartResizeSettings limits() const { return {patch * merge, min_pixels, max_pixels}; }
  /// Floats of one patch.
  std::int64_t patch_values() const { return 3 * frames * patch * patch; }
};

/// True where the directory's processor file names kPatchProcessor.
bool makes_patches(const std::filesystem::path& directory);

/// Reads DIR/preprocessor_config.json, or the image_processor of DIR/processor_config.json; absent keys as in
/// transformers. Errors: io (no file), config_invalid (named file and key), config_unsupported (another processor class
/// or filter).
PatchSettings read_patch_settings(const std::filesystem::path& directory);

/// The same for videos: DIR's video settings (see ProcessorFile::open_for_videos), with that class's own limits on
/// pixels where the file gives none.
PatchSettings read_video_patch_settings(const std::filesystem::path& directory);

/// Patches of a picture: `frames` is 1 for a still one.
struct PatchGrid {
  std::int64_t frames = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t patches() const { return frames * rows * columns; }
  bool operator==(const PatchGrid&) const = default;
};

/// The grid of a still picture of that size. Throws Error(image_aspect_ratio); Error(data_invalid) where it is not
/// resized and whole merged patches do not fill it.
PatchGrid plan_patches(std::int64_t height, std::int64_t width, const PatchSettings& settings);

/// The grid of a video of `count` frames of that size; the last is repeated until whole patches are full. Errors as
/// above.
PatchGrid plan_video_patches(std::int64_t count, std::int64_t height, std::int64_t width,
                             const PatchSettings& settings);

/// A picture as the tower takes it.
struct ProcessedPatches {
  std::vector<float> values;  ///< [patches, 3 · frames · patch · patch], the patches of a merged square side by side
  PatchGrid grid;
  std::int64_t original_height = 0;
  std::int64_t original_width = 0;
  std::string digest;  ///< picture_key(): of pixels and settings
};

/// Errors: those of plan_patches(); image_too_large.
ProcessedPatches process_patches(const Image& image, const PatchSettings& settings);

/// Frames of one video, at least one. Throws Error(data_invalid) where they differ in size, and what process_patches()
/// throws.
ProcessedPatches process_video_patches(std::span<const Image> frames, const PatchSettings& settings);

}  // namespace retain::framework
