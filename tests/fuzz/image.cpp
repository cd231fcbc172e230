// SPDX-License-Identifier: Apache-2.0
// Headers and pixels of pictures.
#include "framework/image/decode.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(data, size);
  retain::framework::ImageSize stated{};
  retain::fuzz::expect_error_or_success([&] { stated = retain::framework::read_size(bytes, "input"); });
  if (stated.height * stated.width > 1 << 20) return 0;  // decoding large pictures is slow, not dangerous
  return retain::fuzz::expect_error_or_success([&] {
    const auto image = retain::framework::decode_image(bytes, "input");
    if (static_cast<std::int64_t>(image.rgb.size()) != image.height * image.width * 3) __builtin_trap();
  });
}
