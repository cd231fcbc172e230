// SPDX-License-Identifier: Apache-2.0
// Inside of framework/image/decode: one decoder a format, and what they share.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/base/error.h"
#include "framework/image/decode.h"

namespace retain::framework::codecs {

using Bytes = std::span<const std::uint8_t>;

Image decode_jpeg(Bytes bytes, const std::string& origin);
Image decode_png(Bytes bytes, const std::string& origin, AlphaMode alpha);
Image decode_webp(Bytes bytes, const std::string& origin, AlphaMode alpha);

ImageSize jpeg_size(Bytes bytes, const std::string& origin);
ImageSize png_size(Bytes bytes, const std::string& origin);
ImageSize webp_size(Bytes bytes, const std::string& origin);

[[noreturn]] void throw_truncated(const std::string& origin, const std::string& detail);
[[noreturn]] void throw_corrupt(const std::string& origin, const std::string& detail);

/// `size` when it is one Retain decodes; else throws image_too_large or image_corrupt (a side below 1).
ImageSize checked_size(std::int64_t height, std::int64_t width, const std::string& origin);

/// A byte of colour with opacity `alpha` over white, in Pillow's alpha_composite arithmetic.
inline std::uint8_t over_white(std::uint32_t colour, std::uint32_t alpha) {
  if (alpha == 0) return 255;
  const std::uint32_t mixed = (colour * alpha + 255 * (255 - alpha)) * 128 + (0x80u << 7);
  return static_cast<std::uint8_t>((((mixed >> 8) + mixed) >> 8) >> 7);
}

/// Pixels that arrive row by row. Memory is taken as rows come once the picture is large, so that a short file that
/// claims a huge picture costs little.
class RowSink {
 public:
  RowSink(ImageSize size) : row_bytes_(size.width * 3) {
    image_.height = size.height;
    image_.width = size.width;
    if (size.height * row_bytes_ <= at_once) grow_to(size.height);
  }
  /// Where row `y` goes; rows come in order.
  std::uint8_t* row(std::int64_t y) {
    if (y >= rows_) grow_to(std::min(image_.height, std::max<std::int64_t>(y + 1, rows_ * 2)));
    return image_.rgb.data() + y * row_bytes_;
  }
  Image take() { return std::move(image_); }

 private:
  static constexpr std::int64_t at_once = 32 << 20;
  void grow_to(std::int64_t rows) {
    rows_ = rows;
    image_.rgb.resize(static_cast<std::size_t>(rows * row_bytes_));
  }
  std::int64_t row_bytes_;
  std::int64_t rows_ = 0;
  Image image_;
};

}  // namespace retain::framework::codecs
