// SPDX-License-Identifier: Apache-2.0
// Pictures as patches, for Qwen2.5-VL: settings that agree with the model's configuration, token counts, tensors.
#pragma once
#include <filesystem>
#include <memory>

#include "framework/image/patches.h"
#include "models/lmm/batch.h"
#include "models/lmm/config.h"
#include "models/lmm/picture_reader.h"

namespace retain::models::qwen2_5_vl {

/// The processor of a model directory for pictures, or for videos, checked against its configuration. Errors: those of
/// framework::read_patch_settings(); config_invalid where patches or merged squares are not the tower's.
framework::PatchSettings read_processor(const std::filesystem::path& directory, const LmmConfig& config,
                                        framework::AlphaMode alpha, bool videos = false);

class PatchPictures final : public PictureReader {
 public:
  PatchPictures(framework::PatchSettings settings, framework::PatchSettings videos);
  ImageInput read(const framework::Picture& picture, std::size_t pictures_in_sample, Pictures detail) const override;
  ImageInput read_video(const framework::FrameList& video, Pictures detail) const override;

 private:
  framework::PatchSettings settings_;
  framework::PatchSettings videos_;
};

std::unique_ptr<PictureReader> make_pictures(const std::filesystem::path& directory, const LmmConfig& config,
                                             framework::AlphaMode alpha);

}  // namespace retain::models::qwen2_5_vl
