// SPDX-License-Identifier: Apache-2.0
// PNG by libpng; how each colour type becomes RGB, and how transparency is found, follows Pillow.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <iterator>

#include "framework/image/codecs.h"

namespace retain::framework::codecs {
namespace {

/// Deflate shrinks nothing more than 1032-fold: a file below that cannot hold the pixels it claims.
constexpr std::int64_t max_deflate_ratio = 1032;

/// libpng's state; its errors become one longjmp out of guarded(), then an Error.
class PngReader {
 public:
  PngReader(Bytes bytes, const std::string& origin) : bytes_(bytes), origin_(origin) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &PngReader::fail, [](png_structp, png_const_charp) {});
    if (png_) info_ = png_create_info_struct(png_);
    if (!info_) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw Error(ErrorKind::internal, "libpng could not start");
    }
    guarded([this] {
      png_set_read_fn(png_, this, [](png_structp png, png_bytep out, std::size_t count) {
        static_cast<PngReader*>(png_get_io_ptr(png))->read(out, count);
      });
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
      png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
      static constexpr png_byte unused[] =
          "bKGD\0cHRM\0cICP\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0tEXt\0tIME\0zTXt";
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, unused, static_cast<int>(sizeof unused / 5));
    });
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  /// Runs `call`, whose own frames hold nothing to destroy: an error inside libpng jumps over them.
  template <typename Call>
  void guarded(Call&& call) {
    if (setjmp(png_jmpbuf(png_)) == 0) {
      call();
      return;
    }
    if (truncated_) throw_truncated(origin_, std::to_string(bytes_.size()) + " bytes");
    throw_corrupt(origin_, message_);
  }

  png_structp png() { return png_; }
  png_infop info() { return info_; }

 private:
  [[noreturn]] static void fail(png_structp png, png_const_charp message) {
    auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(reader->message_, sizeof reader->message_, "%s", message);
    png_longjmp(png, 1);
  }
  void read(png_bytep out, std::size_t count) {
    if (count > bytes_.size() - position_) {
      truncated_ = true;
      png_error(png_, "end of file");
    }
    std::memcpy(out, bytes_.data() + position_, count);
    position_ += count;
  }

  Bytes bytes_;
  std::size_t position_ = 0;
  bool truncated_ = false;
  char message_[256] = {};
  const std::string& origin_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

/// How one row of samples, as libpng hands them out (1 byte each, or 2 for 16 bits), becomes RGB.
class PngColours {
 public:
  /// `depth`: bits a sample in the file.
  PngColours(PngReader& reader, int depth, AlphaMode alpha) : clean_(alpha == AlphaMode::white), depth_(depth) {
    png_structp png = reader.png();
    type_ = png_get_color_type(png, reader.info());
    png_colorp colours = nullptr;
    int count = 0;
    if (png_get_PLTE(png, reader.info(), &colours, &count))
      for (int i = 0; i < std::min(count, 256); ++i) palette_[i] = {colours[i].red, colours[i].green, colours[i].blue};
    png_bytep opacities = nullptr;
    png_color_16p key = nullptr;
    count = 0;
    if (!clean_ || !png_get_tRNS(png, reader.info(), &opacities, &count, &key)) return;
    if (type_ == PNG_COLOR_TYPE_PALETTE) {
      for (int i = 0; opacities && i < std::min(count, 256); ++i)
        for (auto& colour : palette_[i]) colour = over_white(colour, opacities[i]);
    } else if (key) {
      set_key(*key);
    }
  }

  void convert(const std::uint8_t* in, std::int64_t width, std::uint8_t* rgb) const {
    const std::int64_t step = depth_ == 16 ? 2 : 1;  // the high byte comes first
    switch (type_) {
      case PNG_COLOR_TYPE_PALETTE:
        for (std::int64_t x = 0; x < width; ++x, rgb += 3) std::copy_n(palette_[in[x]].begin(), 3, rgb);
        return;
      case PNG_COLOR_TYPE_GRAY:
        return grey(in, width, rgb);
      case PNG_COLOR_TYPE_GRAY_ALPHA:
        for (std::int64_t x = 0; x < width; ++x, in += 2 * step, rgb += 3)
          rgb[0] = rgb[1] = rgb[2] = clean_ ? over_white(in[0], in[step]) : in[0];
        return;
      case PNG_COLOR_TYPE_RGB:
        return colour(in, width, step, rgb);
      default:
        break;
    }
    for (std::int64_t x = 0; x < width; ++x, in += 4 * step, rgb += 3)
      for (int c = 0; c < 3; ++c) rgb[c] = clean_ ? over_white(in[c * step], in[3 * step]) : in[c * step];
  }

 private:
  /// Pillow compares the key's low bytes with the 8-bit pixels, whatever the file's depth.
  void set_key(const png_color_16& key) {
    has_key_ = true;
    const auto grey = static_cast<std::uint8_t>(depth_ == 1 ? (key.gray ? 255 : 0) : key.gray & 255);
    if (type_ == PNG_COLOR_TYPE_GRAY)
      key_ = {grey, grey, grey};
    else
      key_ = {static_cast<std::uint8_t>(key.red & 255), static_cast<std::uint8_t>(key.green & 255),
              static_cast<std::uint8_t>(key.blue & 255)};
  }

  void grey(const std::uint8_t* in, std::int64_t width, std::uint8_t* rgb) const {
    const unsigned scale = depth_ >= 8 ? 1 : 255u / ((1u << depth_) - 1);
    for (std::int64_t x = 0; x < width; ++x, rgb += 3) {
      auto value = static_cast<std::uint8_t>(in[x] * scale);
      if (depth_ == 16) value = in[2 * x] ? 255 : in[2 * x + 1];
      if (has_key_ && value == key_[0]) value = 255;
      rgb[0] = rgb[1] = rgb[2] = value;
    }
  }

  void colour(const std::uint8_t* in, std::int64_t width, std::int64_t step, std::uint8_t* rgb) const {
    for (std::int64_t x = 0; x < width; ++x, in += 3 * step, rgb += 3) {
      for (int c = 0; c < 3; ++c) rgb[c] = in[c * step];
      if (has_key_ && std::equal(key_.begin(), key_.end(), rgb)) std::fill_n(rgb, 3, std::uint8_t{255});
    }
  }

  bool clean_;
  int type_ = 0;
  int depth_;
  bool has_key_ = false;
  std::array<std::uint8_t, 3> key_{};
  std::array<std::array<std::uint8_t, 3>, 256> palette_{};  // black where the file names no colour
};

std::uint32_t big_endian(Bytes bytes, std::size_t offset) {
  return std::uint32_t{bytes[offset]} << 24 | std::uint32_t{bytes[offset + 1]} << 16 |
         std::uint32_t{bytes[offset + 2]} << 8 | bytes[offset + 3];
}

}  // namespace

ImageSize png_size(Bytes bytes, const std::string& origin) {
  // Signature, then the first chunk: length, "IHDR", width, height.
  if (bytes.size() < 24) throw_truncated(origin, std::to_string(bytes.size()) + " bytes");
  if (std::memcmp(bytes.data() + 12, "IHDR", 4) != 0) throw_corrupt(origin, "no IHDR chunk");
  return checked_size(big_endian(bytes, 20), big_endian(bytes, 16), origin);
}

Image decode_png(Bytes bytes, const std::string& origin, AlphaMode alpha) {
  const ImageSize size = png_size(bytes, origin);
  PngReader reader(bytes, origin);
  png_structp png = reader.png();
  int passes = 1, depth = 8;
  std::size_t row_bytes = 0, packed_bytes = 0;
  reader.guarded([&] {
    png_read_info(png, reader.info());
    depth = png_get_bit_depth(png, reader.info());
    packed_bytes = png_get_rowbytes(png, reader.info());
    png_set_packing(png);
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, reader.info());
    row_bytes = png_get_rowbytes(png, reader.info());
  });
  if (static_cast<std::int64_t>(packed_bytes) >
      max_deflate_ratio * static_cast<std::int64_t>(bytes.size()) / size.height)
    throw_truncated(origin, std::to_string(bytes.size()) + " bytes for " + std::to_string(size.height) + " rows of " +
                                std::to_string(packed_bytes));
  const PngColours colours(reader, depth, alpha);
  RowSink sink(size);
  // An interlaced picture is complete only after its last pass; the others need one row at a time.
  const bool interlaced = passes > 1;
  std::vector<std::uint8_t> samples(row_bytes * (interlaced ? static_cast<std::size_t>(size.height) : 1));
  reader.guarded([&] {
    for (int pass = 0; pass < passes; ++pass)
      for (std::int64_t y = 0; y < size.height; ++y) {
        png_bytep row = samples.data() + (interlaced ? static_cast<std::size_t>(y) * row_bytes : 0);
        png_read_row(png, row, nullptr);
        if (pass + 1 == passes) colours.convert(row, size.width, sink.row(y));
      }
  });
  return sink.take();
}

}  // namespace retain::framework::codecs
