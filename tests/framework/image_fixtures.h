// SPDX-License-Identifier: Apache-2.0
// What the picture tests share: fixtures, checksums, the kind of an error.
#pragma once
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/image/decode.h"

namespace retain::framework {

inline std::filesystem::path picture(const std::string& name) {
  return std::filesystem::path(RETAIN_FIXTURES) / "images" / name;
}

/// What Pillow and transformers made of the fixtures (tests/fixtures/images/make_fixtures.py).
inline const json::object& expected_pictures() {
  static const json::value value = read_json(picture("expected.json"));
  return value.as_object();
}

inline std::int64_t checksum(const std::vector<std::uint8_t>& bytes) {
  return static_cast<std::int64_t>(crc32(0, bytes.data(), static_cast<uInt>(bytes.size())));
}

inline std::vector<std::uint8_t> bytes_of(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  return {text.begin(), text.end()};
}

/// The name of the error `call` throws; "ok" when it throws none.
template <typename Call>
std::string outcome(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_FALSE(error.parts().what.empty() || error.parts().found.empty() || error.parts().remedy.empty())
        << error.what();
    return std::string(name_of(error.kind()));
  }
  return "ok";
}

}  // namespace retain::framework
