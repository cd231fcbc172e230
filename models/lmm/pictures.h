// SPDX-License-Identifier: Apache-2.0
// Between the framework's pictures and a model's: settings that agree with the model's configuration, visual token
// counts, tiles as tensors.
#pragma once
#include <filesystem>

#include "framework/image/anyres.h"
#include "framework/image/processor.h"
#include "models/lmm/batch.h"
#include "models/lmm/config.h"

namespace retain::models {

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

/// An image of a sample; its tensor takes over the picture's memory.
ImageInput make_image_input(framework::ProcessedImage picture, const LmmConfig& config,
                            framework::Tiling tiling = framework::Tiling::anyres);

/// Loads, processes and counts one file. Errors: those of framework::load_image and process_image.
ImageInput load_image_input(const std::filesystem::path& file, const framework::ProcessorSettings& settings,
                            const LmmConfig& config, framework::Tiling tiling = framework::Tiling::anyres);

}  // namespace retain::models
