// SPDX-License-Identifier: Apache-2.0
// From a picture's file to a sample's image, as a family prepares it.
#pragma once
#include <cstddef>

#include "framework/data/record.h"
#include "models/lmm/batch.h"

namespace retain::models {

/// How far pictures are read.
enum class Pictures {
  pixels,  ///< decoded and processed
  sizes,   ///< headers only: token counts are right, ImageInput::pixels stays undefined
};

/// Const members may be called from several threads.
class PictureReader {
 public:
  virtual ~PictureReader() = default;

  /// One of a sample's `pictures_in_sample` pictures. Errors: those of framework::load_image and of the family's
  /// processing.
  virtual ImageInput read(const framework::Picture& picture, std::size_t pictures_in_sample, Pictures detail) const = 0;

  /// A video. Throws Error(data_invalid) where frames do not go together, and as read().
  virtual ImageInput read_video(const framework::FrameList& video, Pictures detail) const = 0;
};

}  // namespace retain::models
