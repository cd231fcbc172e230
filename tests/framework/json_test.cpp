// SPDX-License-Identifier: Apache-2.0
// JSON text: doubles to the last bit, all else as Boost.JSON reads it, and errors that say where.
#include "framework/base/json.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace retain::framework {
namespace {

double read_back(const std::string& text) { return parse_json(text, "text").as_double(); }

TEST(Json, DoublesComeBackToTheLastBit) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 200000; ++i) {
    const double bits = std::bit_cast<double>(random()), score = static_cast<double>(random() >> 11) * 0x1p-53;
    for (const double number : {bits, score, 1.0 / (score + 0.001)}) {
      if (!std::isfinite(number)) continue;
      ASSERT_EQ(std::bit_cast<std::uint64_t>(read_back(json::serialize(json::value(number)))), std::bit_cast<std::uint64_t>(number));
    }
  }
  EXPECT_EQ(read_back("1.7976931348623157e308"), std::numeric_limits<double>::max());
  EXPECT_EQ(read_back("4.9406564584124654e-324"), std::numeric_limits<double>::denorm_min());
  EXPECT_TRUE(std::signbit(read_back("-0.0")));
  EXPECT_EQ(read_back("0.30000000000000004"), 0.1 + 0.2);
}

TEST(Json, AllElseIsReadAsByBoost) {
  for (const std::string text :
       {R"({"a":[1,-2,18446744073709551615,-9223372036854775808],"b":{"c":null,"d":[true,false,[]],"e":{}},"a ":"x"})", R"(["\u00e9\ud83d\ude00\n\t\"\\","", "grüße"])",
        R"(12345)", R"(-7)", R"("text")", R"(null)", R"( [ 0.5 , 1e3 ] )", R"([1e400,-1e400,1e-400])", R"({"a":1,"a":2})"})
    EXPECT_EQ(parse_json(text, "text"), json::parse(text)) << text;
  const std::string large = "[\"" + std::string(300000, 'x') + "\",{\"" + std::string(70000, 'k') + "\":0.25}]";
  EXPECT_EQ(parse_json(large, "text"), json::parse(large));
}

TEST(Json, ErrorsNameThePlace) {
  for (const auto& [text, place] : {std::pair{"{\n \"a\": 1,\n}", "line 3, column 1"}, {"[1, 2", "line 1"}, {"", "line 1"}, {"[1] 2", "more text after the document"},
                                    {"{\"a\" 1}", "line 1, column 6"}, {"[01]", "line 1"}, {"[1.]", "line 1"}, {"[\"\xff\"]", "line 1"}}) {
    try {
      parse_json(text, "some.json");
      ADD_FAILURE() << text << " was read";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::config_invalid);
      EXPECT_NE(std::string(error.what()).find(place), std::string::npos) << error.what();
    }
  }
  const std::string deep(10000, '[');
  EXPECT_THROW(parse_json(deep, "deep"), Error);
}

}  // namespace
}  // namespace retain::framework
