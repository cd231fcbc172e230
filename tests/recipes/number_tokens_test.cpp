// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "recipes/probes/number_tokens.h"

namespace retain::recipes {
namespace {

TEST(NumberTokens, AreDigitsOrdinalsDecimalsAndWords) {
  for (const char* text : {"7", " 42", "1st", "22nd", "3.5", "1,000", "zero", " Twenty", "NINETY", "billion", "five\n"})
    EXPECT_TRUE(is_number_text(text)) << text;
  for (const char* text : {"", " ", "x3", "3x", "-", "oneself", "st", ".5", "1.", "twentyone", "\xD9\xA3", "\xFF"})
    EXPECT_FALSE(is_number_text(text)) << text;
}

}  // namespace
}  // namespace retain::recipes
