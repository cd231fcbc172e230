// SPDX-License-Identifier: Apache-2.0
// Painting cells and writing PNG.
#include "examples/tiny/world/picture.h"

#include <png.h>

#include "framework/base/error.h"

namespace retain::tiny {

Picture::Picture(Color background) : pixels_(static_cast<std::size_t>(kPictureSide) * kPictureSide * 3) {
  for (std::size_t i = 0; i < pixels_.size(); ++i) pixels_[i] = background[i % 3];
}

void Picture::blend(int cell, int row, int column, Color color, double amount) {
  const int y = (cell / kGrid) * kCellSide + row;
  const int x = (cell % kGrid) * kCellSide + column;
  const std::size_t at = (static_cast<std::size_t>(y) * kPictureSide + static_cast<std::size_t>(x)) * 3;
  for (std::size_t c = 0; c < 3; ++c) {
    const double value = pixels_[at + c] + amount * (color[c] - pixels_[at + c]);
    pixels_[at + c] = static_cast<std::uint8_t>(value + 0.5);
  }
}

void Picture::paint(int cell, const Mask& mask, Color color) {
  for (int row = 0; row < kCellSide; ++row) {
    for (int column = 0; column < kCellSide; ++column) {
      if (mask[static_cast<std::size_t>(row * kCellSide + column)]) blend(cell, row, column, color, 1.0);
    }
  }
}

void Picture::write_png(const std::filesystem::path& file) const {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = kPictureSide;
  image.height = kPictureSide;
  image.format = PNG_FORMAT_RGB;
  image.flags = PNG_IMAGE_FLAG_FAST;
  if (png_image_write_to_file(&image, file.c_str(), 0, pixels_.data(), 0, nullptr) == 0) {
    throw framework::Error(framework::ErrorKind::io,
                           {"cannot write " + file.string(), "a writable folder with space left", image.message,
                            "choose another --out folder"});
  }
}

}  // namespace retain::tiny
