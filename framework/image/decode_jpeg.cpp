// SPDX-License-Identifier: Apache-2.0
// JPEG by libjpeg with its exact integer DCT and smooth chroma, as Pillow sets it; CMYK by Adobe's inverted convention.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
// jpeglib.h needs FILE and size_t before it.
#include <jpeglib.h>

#include "framework/image/codecs.h"

namespace retain::framework::codecs {
namespace {

/// A progressive file may repeat its scans without end; no encoder writes more than a few dozen.
constexpr int max_scans = 500;

/// libjpeg's state with errors turned into one longjmp out of guarded(), then into an Error.
class JpegReader {
 public:
  JpegReader(Bytes bytes, const std::string& origin) : origin_(origin) {
    state_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr common) { of(common).fail(common); };
    errors_.emit_message = [](j_common_ptr, int) {};
    state_.client_data = this;
    guarded([this] { jpeg_create_decompress(&state_); });
    progress_.progress_monitor = [](j_common_ptr common) {
      JpegReader& reader = of(common);
      if (reader.state_.input_scan_number <= max_scans) return;
      std::snprintf(reader.message_, sizeof reader.message_, "more than %d scans", max_scans);
      std::longjmp(reader.jump_, 1);
    };
    state_.progress = &progress_;
    source_.next_input_byte = bytes.data();
    source_.bytes_in_buffer = bytes.size();
    source_.init_source = [](j_decompress_ptr) {};
    source_.term_source = [](j_decompress_ptr) {};
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.fill_input_buffer = [](j_decompress_ptr state) -> boolean { of(state).end_of_data(); };
    source_.skip_input_data = [](j_decompress_ptr state, long count) {
      if (count <= 0) return;
      jpeg_source_mgr& source = *state->src;
      if (static_cast<std::size_t>(count) > source.bytes_in_buffer) of(state).end_of_data();
      source.next_input_byte += count;
      source.bytes_in_buffer -= static_cast<std::size_t>(count);
    };
    state_.src = &source_;
  }
  ~JpegReader() { jpeg_destroy_decompress(&state_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  /// Runs `call`, whose own frames hold nothing to destroy: an error inside libjpeg jumps over them.
  template <typename Call>
  void guarded(Call&& call) {
    if (setjmp(jump_) == 0) {
      call();
      return;
    }
    if (truncated_) throw_truncated(origin_, "no end-of-image marker");
    throw_corrupt(origin_, message_);
  }

  ImageSize read_header() {
    guarded([this] { jpeg_read_header(&state_, TRUE); });
    return checked_size(state_.image_height, state_.image_width, origin_);
  }

  jpeg_decompress_struct& state() { return state_; }

 private:
  static JpegReader& of(j_common_ptr common) { return *static_cast<JpegReader*>(common->client_data); }
  static JpegReader& of(j_decompress_ptr state) { return *static_cast<JpegReader*>(state->client_data); }

  [[noreturn]] void fail(j_common_ptr common) {
    common->err->format_message(common, message_);
    std::longjmp(jump_, 1);
  }
  [[noreturn]] void end_of_data() {
    truncated_ = true;
    std::longjmp(jump_, 1);
  }

  const std::string& origin_;
  jpeg_decompress_struct state_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  jpeg_source_mgr source_{};
  std::jmp_buf jump_{};
  bool truncated_ = false;
  char message_[JMSG_LENGTH_MAX] = {};
};

std::uint32_t multiply_255(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/// Stored values are inverted inks: a colour is key − key · (255 − ink) / 255. `row` holds 4 bytes a pixel.
void cmyk_to_rgb(const std::uint8_t* row, std::int64_t width, std::uint8_t* rgb) {
  for (std::int64_t x = 0; x < width; ++x, row += 4, rgb += 3)
    for (int channel = 0; channel < 3; ++channel)
      rgb[channel] = static_cast<std::uint8_t>(row[3] - multiply_255(255u - row[channel], row[3]));
}

/// A Huffman code takes a bit at least, and every block has one: a shorter file cannot hold the pixels it claims, and
/// libjpeg would reserve room for all coefficients of a progressive picture first.
void require_enough_bytes(const jpeg_decompress_struct& state, std::size_t bytes, const std::string& origin) {
  if (state.arith_code) return;
  std::uint64_t blocks = 0;
  for (int i = 0; i < state.num_components; ++i)
    blocks = std::max(blocks, std::uint64_t{state.comp_info[i].width_in_blocks} * state.comp_info[i].height_in_blocks);
  if (blocks / 8 > bytes)
    throw_truncated(origin, std::to_string(bytes) + " bytes for " + std::to_string(blocks) + " blocks of pixels");
}

void select_output(jpeg_decompress_struct& state, const std::string& origin) {
  const int layers = state.num_components;
  if (layers != 1 && layers != 3 && layers != 4) throw_corrupt(origin, std::to_string(layers) + " colour layers");
  state.out_color_space = layers == 4 ? JCS_CMYK : JCS_RGB;
  state.dct_method = JDCT_ISLOW;
  state.do_fancy_upsampling = TRUE;
}

}  // namespace

ImageSize jpeg_size(Bytes bytes, const std::string& origin) {
  return JpegReader(bytes, origin).read_header();
}

Image decode_jpeg(Bytes bytes, const std::string& origin) {
  JpegReader reader(bytes, origin);
  const ImageSize size = reader.read_header();
  jpeg_decompress_struct& state = reader.state();
  select_output(state, origin);
  require_enough_bytes(state, bytes.size(), origin);
  RowSink sink(size);
  std::vector<std::uint8_t> inks(state.num_components == 4 ? static_cast<std::size_t>(size.width) * 4 : 0);
  reader.guarded([&] {
    jpeg_start_decompress(&state);
    while (state.output_scanline < state.output_height) {
      const std::int64_t y = state.output_scanline;
      JSAMPROW row = inks.empty() ? sink.row(y) : inks.data();
      jpeg_read_scanlines(&state, &row, 1);
      if (!inks.empty()) cmyk_to_rgb(inks.data(), size.width, sink.row(y));
    }
    jpeg_finish_decompress(&state);
  });
  return sink.take();
}

}  // namespace retain::framework::codecs
