// SPDX-License-Identifier: Apache-2.0
// Tiles: fit, pad, cut, then bytes to normalised floats through a table of 256 values a channel.
#include "framework/image/processor.h"

#include <algorithm>
#include <cstring>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

Image filled(std::int64_t height, std::int64_t width, std::array<std::uint8_t, 3> colour) {
  Image image{height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(height * width * 3))};
  for (std::size_t i = 0; i < image.rgb.size(); i += 3)
    std::copy(colour.begin(), colour.end(), image.rgb.begin() + static_cast<std::ptrdiff_t>(i));
  return image;
}

/// Copies `from` into `to` with its top left corner at (top, left); what falls outside is left out.
void paste(const Image& from, std::int64_t top, std::int64_t left, Image& to) {
  const std::int64_t first = std::max<std::int64_t>(0, -left), last = std::min(from.width, to.width - left);
  if (first >= last) return;
  for (std::int64_t y = std::max<std::int64_t>(0, -top); y < std::min(from.height, to.height - top); ++y)
    std::memcpy(to.rgb.data() + ((y + top) * to.width + left + first) * 3,
                from.rgb.data() + (y * from.width + first) * 3, static_cast<std::size_t>((last - first) * 3));
}

Image padded_to_square(const Image& image, const ProcessorSettings& settings) {
  if (image.height == image.width) return image;
  const std::int64_t side = std::max(image.height, image.width);
  if (side > max_image_pixels / side)
    throw Error(ErrorKind::image_too_large,
                {"a picture would be padded to a square beyond any use",
                 "at most " + std::to_string(max_image_pixels) + " pixels",
                 std::to_string(side) + " x " + std::to_string(side) + " pixels", "crop or shrink the picture"});
  std::array<std::uint8_t, 3> colour{};
  for (std::size_t channel = 0; channel < 3; ++channel)
    colour[channel] = static_cast<std::uint8_t>(std::clamp(settings.mean[channel] * 255, 0.0, 255.0));
  Image square = filled(side, side, colour);
  paste(image, (side - image.height) / 2, (side - image.width) / 2, square);
  return square;
}

/// np.ceil of the margin where the picture is smaller than the crop, floor where it is larger: transformers'
/// center_crop, which pads with zeros.
Image cropped(const Image& image, std::int64_t side) {
  if (image.height == side && image.width == side) return image;
  const auto offset = [side](std::int64_t length) {
    return length >= side ? -((length - side) / 2) : (side - length + 1) / 2;
  };
  Image out = filled(side, side, {0, 0, 0});
  paste(image, offset(image.height), offset(image.width), out);
  return out;
}

/// Turns one cut tile into floats at the end of `out`.
class TileWriter {
 public:
  TileWriter(const ProcessorSettings& settings, std::vector<float>& out)
      : settings_(settings), values_(pixel_values(settings)), out_(out) {}

  /// A picture that needs no more resizing.
  void write_resized(const Image& picture) { convert(settings_.crop ? cropped(picture, *settings_.crop) : picture); }

  void write(const Image& cut) {
    const std::int64_t size = settings_.do_resize ? settings_.size : cut.height;
    if (cut.height == size && cut.width == size && !settings_.crop) return convert(cut);
    const Image resized = settings_.do_resize ? resize(cut, size, size, settings_.filter) : cut;
    write_resized(resized);
  }

 private:
  void convert(const Image& tile) {
    const auto pixels = static_cast<std::size_t>(tile.height * tile.width);
    const std::size_t start = out_.size();
    out_.resize(start + 3 * pixels);
    float* planes[3] = {out_.data() + start, out_.data() + start + pixels, out_.data() + start + 2 * pixels};
    const std::uint8_t* rgb = tile.rgb.data();
    for (std::size_t channel = 0; channel < 3; ++channel) {
      const std::array<float, 256>& values = values_[channel];
      float* plane = planes[channel];
      for (std::size_t i = 0; i < pixels; ++i) plane[i] = values[rgb[3 * i + channel]];
    }
  }

  const ProcessorSettings& settings_;
  PixelValues values_;
  std::vector<float>& out_;
};

void write_anyres(const Image& image, const ProcessorSettings& settings, Resolution best, TileWriter& writer) {
  writer.write(resize(image, settings.size, settings.size, settings.filter));
  const Resolution fit = fit_inside(image.height, image.width, best);
  const Image fitted = resize(image, fit.first, fit.second, settings.filter);
  const std::int64_t top = (best.first - fit.first) / 2, left = (best.second - fit.second) / 2;
  for (std::int64_t y = 0; y < best.first; y += settings.cut)
    for (std::int64_t x = 0; x < best.second; x += settings.cut) {
      Image tile = filled(settings.cut, settings.cut, {0, 0, 0});
      paste(fitted, top - y, left - x, tile);
      writer.write(tile);
    }
}

/// Height and width with the shorter side `size`, the longer one rounded down.
Resolution with_shorter_side(const Image& image, std::int64_t size) {
  const std::int64_t shorter = std::min(image.height, image.width), longer = std::max(image.height, image.width);
  const auto other = static_cast<std::int64_t>(static_cast<double>(size * longer) / static_cast<double>(shorter));
  return image.width <= image.height ? Resolution{other, size} : Resolution{size, other};
}

/// A picture as one tile, for processors without pinpoints.
void write_whole(const Image& image, const ProcessorSettings& settings, TileWriter& writer) {
  const Image picture = settings.pads ? padded_to_square(image, settings) : image;
  if (!settings.do_resize) return writer.write_resized(picture);
  const Resolution size =
      settings.keeps_aspect ? with_shorter_side(picture, settings.size) : Resolution{settings.size, settings.size};
  writer.write_resized(resize(picture, size.first, size.second, settings.filter));
}

std::string describe(const ProcessorSettings& settings, Tiling tiling) {
  std::string text = "tiles 1 ";
  for (const std::int64_t value :
       {std::int64_t{tiling == Tiling::single}, settings.size, settings.cut, settings.crop.value_or(0),
        std::int64_t{settings.pads}, std::int64_t{settings.keeps_aspect}})
    text += std::to_string(value) + " ";
  for (const auto& [height, width] : settings.pinpoints)
    text += std::to_string(height) + "x" + std::to_string(width) + " ";
  return text;
}

}  // namespace

std::string picture_digest(const Image& image, const ProcessorSettings& settings, Tiling tiling) {
  return picture_key(image, settings, describe(settings, tiling));
}

std::int64_t count_tiles(std::int64_t height, std::int64_t width, const ProcessorSettings& settings, Tiling tiling) {
  if (tiling == Tiling::single || settings.pinpoints.empty()) return 1;
  const Resolution best = select_best_resolution(height, width, settings.pinpoints);
  return 1 + (best.first / settings.cut) * (best.second / settings.cut);
}

ProcessedImage process_image(const Image& image, const ProcessorSettings& settings, Tiling tiling) {
  ProcessedImage result;
  result.side = settings.side();
  result.original_height = image.height;
  result.original_width = image.width;
  result.digest = picture_digest(image, settings, tiling);
  result.tiles_count = count_tiles(image.height, image.width, settings, tiling);
  result.tiles.reserve(static_cast<std::size_t>(result.tiles_count * 3 * result.side * result.side));
  TileWriter writer(settings, result.tiles);
  if (settings.pinpoints.empty()) {
    write_whole(image, settings, writer);
    return result;
  }
  if (tiling == Tiling::single) {
    writer.write(resize(padded_to_square(image, settings), settings.size, settings.size, settings.filter));
    return result;
  }
  const Resolution best = select_best_resolution(image.height, image.width, settings.pinpoints);
  write_anyres(image, settings, best, writer);
  return result;
}

}  // namespace retain::framework
