// SPDX-License-Identifier: Apache-2.0
// Between the framework's pictures and a model's: settings that agree with the model's configuration, visual token
// counts, tiles as tensors.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>

#include "framework/image/anyres.h"
#include "framework/image/processor.h"
#include "models/lmm/batch.h"
#include "models/lmm/config.h"
#include "models/lmm/picture_reader.h"

namespace retain::models::llava {

/// What decides the visual tokens of `config`.
framework::AnyresSettings anyres_settings(const LmmConfig& config);

/// The processor of a model directory, checked against its configuration: the tiles have the tower's side and the
/// resolutions are the model's, in its order. Without a processor file it follows from the configuration. `alpha` is
/// white in clean mode and drop in faithful mode. Errors: those of framework::read_processor_settings.
framework::ProcessorSettings read_processor(const std::filesystem::path& directory, const LmmConfig& config,
                                            framework::AlphaMode alpha = framework::AlphaMode::white);

/// Visual tokens of a picture of that size.
std::int64_t visual_tokens(std::int64_t height, std::int64_t width, const LmmConfig& config,
                           framework::Tiling tiling = framework::Tiling::anyres);

/// Visual tokens of a video: pooled frames, then image_newline once, where the model has one.
std::int64_t video_tokens(std::int64_t frames, const LmmConfig& config);

/// Pictures as anyres tiles; those of samples that hold several as one tile each, as LLaVA has it, and so all where the
/// model has no pinpoints.
class AnyresPictures final : public PictureReader {
 public:
  /// `frames`: how frames of a video become tiles; empty where the model takes no videos.
  AnyresPictures(LmmConfig config, framework::ProcessorSettings settings,
                 std::optional<framework::ProcessorSettings> frames = {});
  ImageInput read(const framework::Picture& picture, std::size_t pictures_in_sample, Pictures detail) const override;
  ImageInput read_video(const framework::FrameList& video, Pictures detail) const override;

 private:
  LmmConfig config_;
  framework::ProcessorSettings settings_;
  std::optional<framework::ProcessorSettings> frames_;
};

std::unique_ptr<PictureReader> make_pictures(const std::filesystem::path& directory, const LmmConfig& config,
                                             framework::AlphaMode alpha);
/// For models that take videos too.
std::unique_ptr<PictureReader> make_pictures_and_videos(const std::filesystem::path& directory, const LmmConfig& config,
                                                        framework::AlphaMode alpha);

}  // namespace retain::models::llava
