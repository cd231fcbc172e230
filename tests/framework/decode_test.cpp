// SPDX-License-Identifier: Apache-2.0
// Decoding equals Pillow's, and what cannot be decoded is named.
#include "framework/image/decode.h"

#include <unistd.h>

#include <fstream>

#include "image_fixtures.h"

namespace retain::framework {
namespace {

TEST(Decode, EqualsPillowWithTransparencyOnWhiteAndDropped) {
  for (const auto& [key, want] : expected_pictures().at("decoded").as_object()) {
    const std::string name = key;
    for (const AlphaMode alpha : {AlphaMode::white, AlphaMode::drop}) {
      const Image image = load_image(picture(name), alpha);
      EXPECT_EQ(image.height, want.at("height").as_int64()) << name;
      EXPECT_EQ(image.width, want.at("width").as_int64()) << name;
      ASSERT_EQ(image.rgb.size(), static_cast<std::size_t>(image.height * image.width * 3)) << name;
      const char* field = alpha == AlphaMode::white ? "crc32_white" : "crc32_drop";
      EXPECT_EQ(checksum(image.rgb), want.at(field).to_number<std::int64_t>()) << name << " " << field;
    }
  }
}

TEST(Decode, ReadsSizesFromHeaders) {
  for (const auto& [key, want] : expected_pictures().at("decoded").as_object()) {
    const ImageSize size = read_size(picture(key));
    EXPECT_EQ(size.height, want.at("height").as_int64()) << key;
    EXPECT_EQ(size.width, want.at("width").as_int64()) << key;
  }
}

TEST(Decode, FindsTheSizeBehindALongProfile) {
  const std::vector<std::uint8_t> plain = bytes_of(picture("gray.jpg"));
  std::vector<std::uint8_t> long_header(plain.begin(), plain.begin() + 2);
  for (int segment = 0; segment < 20; ++segment) {
    long_header.insert(long_header.end(), {0xff, 0xe2, 0xff, 0xff});
    long_header.resize(long_header.size() + 65533, 7);
  }
  long_header.insert(long_header.end(), plain.begin() + 2, plain.end());
  const std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) / ("retain_long_header." + std::to_string(getpid()) + ".jpg");
  std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(long_header.data()), long_header.size());
  const ImageSize size = read_size(file), plain_size = read_size(plain, "plain");
  std::filesystem::remove(file);
  EXPECT_EQ(size.height, plain_size.height);
  EXPECT_EQ(size.width, plain_size.width);
}

TEST(Decode, BrokenPicturesAreNamed) {
  for (const auto& [key, want] : expected_pictures().at("corrupt").as_object()) {
    const std::string kind(want.as_string());
    // A ratio only Qwen2.5-VL refuses decodes like any other.
    EXPECT_EQ(outcome([&] { load_image(picture("corrupt/" + std::string(key))); }),
              kind == "image_aspect_ratio" ? "ok" : kind)
        << key;
  }
  EXPECT_EQ(outcome([] { load_image(picture("absent.png")); }), "io");
  EXPECT_EQ(outcome([] { load_image(picture("corrupt")); }), "io");
  EXPECT_EQ(outcome([] { read_size(picture("corrupt/huge_header.png")); }), "image_too_large");
}

TEST(Decode, EveryCutIsTruncatedOrHarmless) {
  for (const char* name : {"gray.jpg", "progressive_420.jpg", "cmyk.jpg", "rgb.png", "interlaced.png", "photo.webp",
                           "lossless_alpha.webp", "animated.webp"}) {
    const std::vector<std::uint8_t> whole = bytes_of(picture(name));
    const std::vector<std::uint8_t> pixels = decode_image(whole, name).rgb;
    for (std::size_t size = 16; size < whole.size(); size += 13) {
      const std::vector<std::uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      try {
        EXPECT_EQ(decode_image(cut, name).rgb, pixels) << name << " cut to " << size;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::image_truncated) << name << " cut to " << size << ": " << error.what();
      }
    }
  }
}

TEST(Decode, SmallFilesThatClaimMuchAreRefusedCheaply) {
  // 13,000 x 13,000 pixels is within the limit; no file this short can hold them.
  std::vector<std::uint8_t> png = bytes_of(picture("rgb.png"));
  const std::vector<std::uint8_t> side{0, 0, 0x32, 0xc8};
  std::copy(side.begin(), side.end(), png.begin() + 16);
  std::copy(side.begin(), side.end(), png.begin() + 20);
  const uLong sum = crc32(0, png.data() + 12, 17);
  for (int i = 0; i < 4; ++i) png[29 + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
  EXPECT_EQ(outcome([&] { decode_image(png, "bomb.png"); }), "image_truncated");

  std::vector<std::uint8_t> jpeg = bytes_of(picture("progressive_420.jpg"));
  for (std::size_t i = 2; i + 9 < jpeg.size(); ++i)
    if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc2) {
      std::copy(side.begin() + 2, side.end(), jpeg.begin() + static_cast<std::ptrdiff_t>(i) + 5);
      std::copy(side.begin() + 2, side.end(), jpeg.begin() + static_cast<std::ptrdiff_t>(i) + 7);
      break;
    }
  EXPECT_EQ(read_size(jpeg, "bomb.jpg").height, 13000);
  EXPECT_EQ(outcome([&] { decode_image(jpeg, "bomb.jpg"); }), "image_truncated");
}

}  // namespace
}  // namespace retain::framework
