// SPDX-License-Identifier: Apache-2.0
// WebP by libwebp: still pictures directly, animations through its frame decoder (first frame on a clear canvas).
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

#include "framework/image/codecs.h"

namespace retain::framework::codecs {
namespace {

[[noreturn]] void throw_status(VP8StatusCode status, const std::string& origin) {
  if (status == VP8_STATUS_NOT_ENOUGH_DATA || status == VP8_STATUS_SUSPENDED)
    throw_truncated(origin, "half a bit stream");
  throw_corrupt(origin, "libwebp status " + std::to_string(status));
}

WebPBitstreamFeatures features_of(Bytes bytes, const std::string& origin) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  if (status != VP8_STATUS_OK) throw_status(status, origin);
  return features;
}

/// `rgba` holds 4 bytes a pixel; without `composite` the fourth is ignored.
Image from_rgba(const std::uint8_t* rgba, ImageSize size, bool composite) {
  Image image{size.height, size.width,
              std::vector<std::uint8_t>(static_cast<std::size_t>(size.height * size.width * 3))};
  std::uint8_t* rgb = image.rgb.data();
  for (std::int64_t i = 0; i < size.height * size.width; ++i, rgba += 4, rgb += 3)
    for (int c = 0; c < 3; ++c) rgb[c] = composite ? over_white(rgba[c], rgba[3]) : rgba[c];
  return image;
}

Image decode_animation(Bytes bytes, const std::string& origin, ImageSize size, bool composite) {
  WebPAnimDecoderOptions options;
  if (!WebPAnimDecoderOptionsInit(&options)) throw Error(ErrorKind::internal, "libwebp of another version");
  options.color_mode = MODE_RGBA;
  const WebPData data{bytes.data(), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(WebPAnimDecoderNew(&data, &options),
                                                                                   &WebPAnimDecoderDelete);
  if (!decoder) throw_corrupt(origin, "an animation libwebp cannot take apart");
  WebPAnimInfo info;
  if (!WebPAnimDecoderGetInfo(decoder.get(), &info) || info.canvas_width != static_cast<std::uint32_t>(size.width) ||
      info.canvas_height != static_cast<std::uint32_t>(size.height))
    throw_corrupt(origin, "a canvas of another size than its header's");
  std::uint8_t* frame = nullptr;
  int timestamp = 0;
  if (!WebPAnimDecoderGetNext(decoder.get(), &frame, &timestamp)) throw_corrupt(origin, "an unreadable first frame");
  return from_rgba(frame, size, composite);
}

}  // namespace

ImageSize webp_size(Bytes bytes, const std::string& origin) {
  const WebPBitstreamFeatures features = features_of(bytes, origin);
  return checked_size(features.height, features.width, origin);
}

Image decode_webp(Bytes bytes, const std::string& origin, AlphaMode alpha) {
  if (bytes.size() < 12) throw_truncated(origin, std::to_string(bytes.size()) + " bytes");
  const std::uint64_t stated = (std::uint64_t{bytes[4]} | std::uint64_t{bytes[5]} << 8 | std::uint64_t{bytes[6]} << 16 |
                                std::uint64_t{bytes[7]} << 24) +
                               8;
  if (stated > bytes.size())
    throw_truncated(origin,
                    std::to_string(bytes.size()) + " of the " + std::to_string(stated) + " bytes its header states");
  const WebPBitstreamFeatures features = features_of(bytes, origin);
  const ImageSize size = checked_size(features.height, features.width, origin);
  const bool composite = features.has_alpha && alpha == AlphaMode::white;
  if (features.has_animation) return decode_animation(bytes, origin, size, composite);

  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) throw Error(ErrorKind::internal, "libwebp of another version");
  const int channels = composite ? 4 : 3;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(size.height * size.width * channels));
  config.output.colorspace = composite ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {pixels.data(), static_cast<int>(size.width * channels), pixels.size()};
  const VP8StatusCode status = WebPDecode(bytes.data(), bytes.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (status != VP8_STATUS_OK) throw_status(status, origin);
  if (composite) return from_rgba(pixels.data(), size, true);
  return {size.height, size.width, std::move(pixels)};
}

}  // namespace retain::framework::codecs
