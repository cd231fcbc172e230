// SPDX-License-Identifier: Apache-2.0
// Bytes of JPEG, PNG and WebP files to RGB, bit for bit as Pillow reads them and transformers 5 turns them into RGB.
//
// Orientation tags (EXIF) are not applied: the reference processors, given an opened picture, and LLaVA's training code
// use the stored pixels. 16-bit grey PNG follows Pillow, which clips values above 255; other 16-bit PNG keep the high
// byte. An animation is its first frame.
//
// All functions throw Error: io (the file cannot be read), image_empty (no bytes), image_unrecognised (another format),
// image_truncated (ends before its pixels do), image_corrupt (the decoder found damage) and image_too_large (above
// max_image_pixels). They allocate in proportion to the pixels they really find or to a size below that limit.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "framework/image/image.h"

namespace retain::framework {

/// Pillow's refusal of decompression bombs: 2 · 1 GiB / 4 / 3 pixels.
inline constexpr std::int64_t max_image_pixels = 178956970;

/// What becomes of transparency.
enum class AlphaMode {
  white,  ///< composited on white, as transformers 5 does (`clean`)
  drop,   ///< ignored, as Pillow's convert("RGB") and LLaVA do (`faithful`)
};

struct ImageSize {
  std::int64_t height = 0;
  std::int64_t width = 0;
};

/// Decodes `bytes`; `origin` (a file or record) is named in errors.
Image decode_image(std::span<const std::uint8_t> bytes, const std::string& origin, AlphaMode alpha = AlphaMode::white);

/// Reads and decodes a file.
Image load_image(const std::filesystem::path& file, AlphaMode alpha = AlphaMode::white);

/// Height and width from the header alone; reads no more of the file than the header needs.
ImageSize read_size(const std::filesystem::path& file);

/// The same from the first bytes of a file.
ImageSize read_size(std::span<const std::uint8_t> bytes, const std::string& origin);

}  // namespace retain::framework
