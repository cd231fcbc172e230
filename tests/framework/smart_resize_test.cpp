// SPDX-License-Identifier: Apache-2.0
// Sizes that transformers 5.23's smart_resize gives; halves round to even.
#include "framework/image/smart_resize.h"

#include <gtest/gtest.h>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

TEST(SmartResize, EqualsTransformers) {
  EXPECT_EQ(smart_resize(480, 640, {28, 3136, 1003520}), (Resolution{476, 644}));
  EXPECT_EQ(smart_resize(1, 1, {28, 3136, 1003520}), (Resolution{56, 56}));
  EXPECT_EQ(smart_resize(42, 70, {28, 3136, 1003520}), (Resolution{56, 56}));
  EXPECT_EQ(smart_resize(3000, 4000, {28, 200704, 1605632}), (Resolution{1092, 1456}));
  EXPECT_EQ(smart_resize(61, 97, {14, 784, 4704}), (Resolution{42, 84}));
}

TEST(SmartResize, RefusesThinPicturesAndSenselessLimits) {
  const auto kind_of = [](std::int64_t height, std::int64_t width, const SmartResizeSettings& settings) {
    try {
      smart_resize(height, width, settings);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::usage;
  };
  EXPECT_EQ(kind_of(4, 900, {}), ErrorKind::image_aspect_ratio);
  EXPECT_EQ(kind_of(4, 800, {}), ErrorKind::usage);  // exactly 200 is allowed: nothing is thrown
  EXPECT_EQ(kind_of(40, 90, {0, 1, 1}), ErrorKind::config_invalid);
}

}  // namespace
}  // namespace retain::framework
