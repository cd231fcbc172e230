// SPDX-License-Identifier: Apache-2.0
// Resizing equals Pillow's bit for bit, growing and shrinking, thin and wide, whichever pass comes first.
#include "framework/image/resize.h"

#include "image_fixtures.h"

namespace retain::framework {
namespace {

TEST(Resize, EqualsPillow) {
  for (const auto& [key, cases] : expected_pictures().at("resized").as_object()) {
    const Image image = load_image(picture(key));
    for (const json::value& want : cases.as_array()) {
      const std::int64_t height = want.at("height").as_int64(), width = want.at("width").as_int64();
      const auto filter = static_cast<ResizeFilter>(want.at("filter").as_int64());
      const Image resized = resize(image, height, width, filter);
      ASSERT_EQ(resized.height, height);
      ASSERT_EQ(resized.width, width);
      EXPECT_EQ(checksum(resized.rgb), want.at("crc32").to_number<std::int64_t>())
          << key << " to " << height << " x " << width << " filter " << want.at("filter");
    }
  }
}

TEST(Resize, SameSizeIsACopy) {
  const Image image = load_image(picture("rgb.png"));
  EXPECT_EQ(resize(image, image.height, image.width).rgb, image.rgb);
}

TEST(Resize, AFlatPictureStaysFlat) {
  const Image image{2, 30000, std::vector<std::uint8_t>(2 * 30000 * 3, 77)};
  const Image resized = resize(image, 9, 5);
  EXPECT_EQ(resized.rgb, std::vector<std::uint8_t>(9 * 5 * 3, 77));
}

TEST(Resize, RefusesWhatCannotBe) {
  const Image image = load_image(picture("one.png"));
  EXPECT_EQ(outcome([&] { resize(image, 20000, 20000); }), "image_too_large");
  EXPECT_THROW(resize(image, 0, 5), Error);
}

}  // namespace
}  // namespace retain::framework
