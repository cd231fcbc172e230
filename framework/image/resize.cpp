// SPDX-License-Identifier: Apache-2.0
// The two passes. The horizontal one works on 16 rows at a time, turned so that a pixel's rows and channels lie side by
// side and one vector operation weighs them all; the vertical one finds them side by side already.
#include "framework/image/resize.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "framework/base/error.h"
#include "framework/image/decode.h"
#include "framework/image/resize_weights.h"

namespace retain::framework {
namespace {

using resizing::AxisWeights;
using resizing::mix_lanes;

constexpr std::int64_t block_rows = 16;
static_assert(mix_lanes == block_rows * 3);
/// Pixels of a row that are turned at once: 16 rows of them stay in a core's second-level cache.
constexpr std::int64_t span_pixels = 2048;

std::uint8_t* row_of(Image& image, std::int64_t y) {
  return image.rgb.data() + y * image.width * 3;
}

/// Turns pixels [first, first + count) of up to 16 rows into columns: turned[(x · 3 + channel) · 16 + row].
void turn(const Image& image, std::int64_t first_row, std::int64_t first, std::int64_t count, std::uint8_t* turned) {
  const std::int64_t stride = image.width * 3, begin = first * 3, end = (first + count) * 3;
  std::uint8_t edge[block_rows * 16];
  for (std::int64_t byte = begin; byte < end; byte += 16, turned += 16 * block_rows) {
    const bool inside = byte + 16 <= stride && first_row + block_rows <= image.height;
    if (inside) {
      resizing::transpose_16(image.rgb.data() + first_row * stride + byte, stride, turned, block_rows);
      continue;
    }
    for (std::int64_t i = 0; i < block_rows; ++i) {
      const std::int64_t y = std::min(first_row + i, image.height - 1);
      std::memcpy(edge + i * 16, image.rgb.data() + y * stride + byte, std::min<std::int64_t>(16, stride - byte));
    }
    resizing::transpose_16(edge, 16, turned, block_rows);
  }
}

/// One output pixel from pixels `stride` bytes apart: for windows too long to be turned, and rows below a vector.
void mix_pixel(const std::uint8_t* in, std::ptrdiff_t stride, const std::int32_t* weights, std::int64_t count,
               std::uint8_t* out) {
  std::int32_t sums[3] = {1 << (resizing::weight_bits - 1), 1 << (resizing::weight_bits - 1),
                          1 << (resizing::weight_bits - 1)};
  for (std::int64_t tap = 0; tap < count; ++tap, in += stride)
    for (int channel = 0; channel < 3; ++channel) sums[channel] += weights[tap] * in[channel];
  for (int channel = 0; channel < 3; ++channel)
    out[channel] = static_cast<std::uint8_t>(std::clamp(sums[channel] >> resizing::weight_bits, 0, 255));
}

/// Columns [from, to) of the horizontal pass for all rows.
void shrink_columns(const Image& image, const AxisWeights& axis, std::size_t from, std::size_t to, Image& out) {
  const std::int64_t first = axis.windows[from].first;
  const std::int64_t pixels = axis.windows[to - 1].first + axis.windows[to - 1].count - first;
  const auto outputs = static_cast<std::int64_t>(to - from);
  std::vector<std::uint8_t> turned(static_cast<std::size_t>((pixels * 3 + 15) / 16 * 16 * block_rows));
  std::vector<std::uint8_t> mixed(static_cast<std::size_t>((outputs * 3 + 15) / 16 * 16 * block_rows));
  std::uint8_t back[block_rows * 16];
  for (std::int64_t y = 0; y < image.height; y += block_rows) {
    turn(image, y, first, pixels, turned.data());
    for (std::size_t x = from; x < to; ++x) {
      const AxisWeights::Window& window = axis.windows[x];
      resizing::mix(turned.data() + (window.first - first) * mix_lanes, mix_lanes, axis.weights.data() + window.offset,
                    window.count, mixed.data() + static_cast<std::int64_t>(x - from) * mix_lanes);
    }
    for (std::int64_t byte = 0; byte < outputs * 3; byte += 16) {
      resizing::transpose_16(mixed.data() + byte * block_rows, block_rows, back, 16);
      const auto bytes = static_cast<std::size_t>(std::min<std::int64_t>(16, outputs * 3 - byte));
      for (std::int64_t i = 0; i < std::min(block_rows, image.height - y); ++i)
        std::memcpy(row_of(out, y + i) + static_cast<std::int64_t>(from) * 3 + byte, back + i * 16, bytes);
    }
  }
}

void horizontal(const Image& image, const AxisWeights& axis, Image& out) {
  const std::size_t columns = axis.windows.size();
  for (std::size_t from = 0, to = 0; from < columns; from = to) {
    const std::int64_t end = axis.windows[from].first + span_pixels;
    while (to < columns && axis.windows[to].first + axis.windows[to].count <= end) ++to;
    if (to > from) {
      shrink_columns(image, axis, from, to, out);
      continue;
    }
    const AxisWeights::Window& window = axis.windows[to];
    for (std::int64_t y = 0; y < image.height; ++y)
      mix_pixel(image.rgb.data() + (y * image.width + window.first) * 3, 3, axis.weights.data() + window.offset,
                window.count, row_of(out, y) + static_cast<std::int64_t>(to) * 3);
    ++to;
  }
}

void vertical(const Image& image, const AxisWeights& axis, Image& out) {
  const std::int64_t stride = image.width * 3;
  for (std::int64_t y = 0; y < out.height; ++y) {
    const AxisWeights::Window& window = axis.windows[static_cast<std::size_t>(y)];
    const std::int32_t* weights = axis.weights.data() + window.offset;
    const std::uint8_t* in = image.rgb.data() + window.first * stride;
    std::uint8_t* to = row_of(out, y);
    if (stride < mix_lanes) {
      for (std::int64_t x = 0; x < stride; x += 3) mix_pixel(in + x, stride, weights, window.count, to + x);
      continue;
    }
    // The last vector overlaps the one before it rather than leave the row.
    for (std::int64_t byte = 0; byte < stride; byte += mix_lanes) {
      const std::int64_t start = std::min(byte, stride - mix_lanes);
      resizing::mix(in + start, stride, weights, window.count, to + start);
    }
  }
}

void require_sides(const Image& image, std::int64_t height, std::int64_t width) {
  if (height >= 1 && width >= 1 && image.height >= 1 && image.width >= 1) return;
  throw Error(ErrorKind::internal, {"a picture resized from or to nothing",
                                    "sides of at least 1",
                                    std::to_string(width) + " x " + std::to_string(height) + " pixels",
                                    {}});
}

Image blank(std::int64_t height, std::int64_t width) {
  if (height > max_image_pixels / width)
    throw Error(ErrorKind::image_too_large,
                {"a picture would be resized beyond any use", "at most " + std::to_string(max_image_pixels) + " pixels",
                 std::to_string(width) + " x " + std::to_string(height) + " pixels",
                 "check the resolutions in preprocessor_config.json, or shrink the picture"});
  return {height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(height * width * 3))};
}

Image resize_width(const Image& image, std::int64_t width, ResizeFilter filter) {
  if (image.width == width) return image;
  Image out = blank(image.height, width);
  horizontal(image, resizing::axis_weights(image.width, width, filter), out);
  return out;
}

Image resize_height(const Image& image, std::int64_t height, ResizeFilter filter) {
  if (image.height == height) return image;
  Image out = blank(height, image.width);
  vertical(image, resizing::axis_weights(image.height, height, filter), out);
  return out;
}

}  // namespace

Image resize(const Image& image, std::int64_t height, std::int64_t width, ResizeFilter filter) {
  require_sides(image, height, width);
  // Each pass rounds to 8 bits, so their order shows. Pillow 13 starts with the rows when they shrink by more than
  // twice what the columns do; earlier ones always start with the columns.
  const bool rows_first = image.height - height > 2 * std::max<std::int64_t>(0, image.width - width);
  if (rows_first) return resize_width(resize_height(image, height, filter), width, filter);
  return resize_height(resize_width(image, width, filter), height, filter);
}

}  // namespace retain::framework
