// SPDX-License-Identifier: Apache-2.0
// Thousands of damaged pictures: each decodes or throws Error; nothing else may come out.
#include <random>

#include "framework/image/resize.h"
#include "image_fixtures.h"

namespace retain::framework {
namespace {

/// A few bytes changed, removed, doubled or cut off.
std::vector<std::uint8_t> damaged(std::vector<std::uint8_t> bytes, std::mt19937& random) {
  const int wounds = 1 << random() % 5;
  for (int wound = 0; wound < wounds && bytes.size() > 4; ++wound) {
    // Half of the damage goes to the header, where sizes and counts are.
    const std::size_t reach = random() % 2 ? bytes.size() : std::min<std::size_t>(bytes.size(), 200);
    const auto at = static_cast<std::ptrdiff_t>(random() % reach);
    const auto length =
        std::min<std::ptrdiff_t>(1 + static_cast<std::ptrdiff_t>(random() % 16), std::ssize(bytes) - at);
    switch (random() % 8) {
      case 0:
        bytes.erase(bytes.begin() + at, bytes.begin() + at + length);
        break;
      case 1: {
        const std::vector<std::uint8_t> piece(bytes.begin() + at, bytes.begin() + at + length);
        bytes.insert(bytes.begin() + at, piece.begin(), piece.end());
        break;
      }
      case 2:
        bytes.resize(static_cast<std::size_t>(at) + 1);
        break;
      case 3:
        bytes[static_cast<std::size_t>(at)] = 0xff;
        break;
      case 4:
        bytes[static_cast<std::size_t>(at)] = 0;
        break;
      case 5:
        bytes[static_cast<std::size_t>(at)] ^= static_cast<std::uint8_t>(1u << random() % 8);
        break;
      default:
        bytes[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(random());
    }
  }
  return bytes;
}

TEST(ImageFuzz, DamagedPicturesDecodeOrThrowError) {
  std::mt19937 random(7);
  int decoded = 0, refused = 0;
  for (const char* name : {"gray.jpg", "progressive_420.jpg", "ycck.jpg", "turned_by_exif.jpg", "rgb.png",
                           "interlaced.png", "palette_transparent.png", "grey_16.png", "two_bits.png", "rgba_16.png",
                           "photo.webp", "lossy_alpha.webp", "lossless_alpha.webp", "animated.webp"}) {
    const std::vector<std::uint8_t> whole = bytes_of(picture(name));
    for (int round = 0; round < 400; ++round) {
      const std::vector<std::uint8_t> bytes = damaged(whole, random);
      try {
        const Image image = decode_image(bytes, name, round % 2 ? AlphaMode::white : AlphaMode::drop);
        ASSERT_EQ(image.rgb.size(), static_cast<std::size_t>(image.height * image.width * 3)) << name;
        ++decoded;
        if (round % 16 == 0) resize(image, 28, 28);
      } catch (const Error& error) {
        const std::string kind(name_of(error.kind()));
        EXPECT_TRUE(kind.starts_with("image_")) << kind;
        ++refused;
      }
    }
  }
  EXPECT_GT(decoded, 500);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace retain::framework
