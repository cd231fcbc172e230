// SPDX-License-Identifier: Apache-2.0
// Anyres geometry against the golden vectors of real models and a transformers-made table of sizes.
#include "framework/image/anyres.h"

#include <gtest/gtest.h>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

AnyresSettings square_grid(std::int64_t tile, std::int64_t patch, std::int64_t most) {
  AnyresSettings settings;
  for (std::int64_t row = 1; row <= most; ++row)
    for (std::int64_t column = 1; column <= most; ++column) settings.pinpoints.emplace_back(row * tile, column * tile);
  settings.tile = tile;
  settings.grid = tile / patch;
  settings.max_tiles = 9;
  return settings;
}

TEST(Anyres, TokensOfKnownPicturesAt384) {
  const AnyresSettings settings = square_grid(384, 14, 6);
  const AnyresPlan photo = plan_anyres(768, 1024, settings);
  EXPECT_EQ(photo.tokens, 4725);
  EXPECT_EQ(photo.rows, 2);
  EXPECT_EQ(photo.cols, 3);
  EXPECT_EQ(photo.grid_height, 54);
  EXPECT_EQ(photo.grid_width, 81);
  EXPECT_EQ(photo.column_end - photo.column_begin, 73);
  EXPECT_EQ(photo.row_end - photo.row_begin, 54);
  EXPECT_FALSE(photo.reduced);
  const AnyresPlan large = plan_anyres(2304, 2304, settings);
  EXPECT_EQ(large.tokens, 7371);
  EXPECT_EQ(large.tiles(), 37);
  ASSERT_TRUE(large.reduced);
  EXPECT_EQ(*large.reduced, (Resolution{81, 81}));
  EXPECT_EQ(plan_anyres(375, 500, settings).tokens, 1728);
}

TEST(Anyres, TokensOfKnownPictureAt336) {
  EXPECT_EQ(plan_anyres(768, 1024, square_grid(336, 14, 6)).tokens, 5784);
}

TEST(Anyres, SingleTileHasOneNewline) {
  AnyresSettings settings = square_grid(30, 7, 2);
  const AnyresPlan plan = plan_single_tile(settings);
  EXPECT_EQ(plan.tiles(), 1);
  EXPECT_EQ(plan.tokens, 17);
  settings.newline = false;
  EXPECT_EQ(plan_single_tile(settings).tokens, 16);
}

TEST(Anyres, TiesGoToTheEarliestPinpoint) {
  EXPECT_EQ(select_best_resolution(100, 100, {{28, 56}, {56, 28}}), (Resolution{28, 56}));
  EXPECT_EQ(select_best_resolution(100, 100, {{56, 28}, {28, 56}}), (Resolution{56, 28}));
}

TEST(Anyres, VeryThinPicturesStillHaveTheirBaseTile) {
  const AnyresPlan plan = plan_anyres(1, 100000, square_grid(30, 7, 6));
  EXPECT_GE(plan.tokens, plan.base_tokens);
  EXPECT_LE(plan.map_height, 1);
}

TEST(Anyres, RefusesWhatCannotWork) {
  const auto kind_of = [](auto&& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.kind();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorKind::internal;
  };
  AnyresSettings settings = square_grid(30, 7, 2);
  settings.pinpoints.clear();
  EXPECT_EQ(kind_of([&] { plan_anyres(4, 4, settings); }), ErrorKind::config_invalid);
  settings.pinpoints = {{31, 30}};
  EXPECT_EQ(kind_of([&] { plan_anyres(4, 4, settings); }), ErrorKind::config_invalid);
  settings.grid = 0;
  EXPECT_EQ(kind_of([&] { plan_anyres(4, 4, settings); }), ErrorKind::config_invalid);
  EXPECT_EQ(kind_of([] { parse_anyres_limit("pad"); }), ErrorKind::config_unsupported);
  EXPECT_EQ(kind_of([] { parse_anyres_limit("anyres_max_"); }), ErrorKind::config_unsupported);
  EXPECT_EQ(parse_anyres_limit("anyres_max_16"), 16);
  EXPECT_EQ(parse_anyres_limit("anyres"), std::nullopt);
}

}  // namespace
}  // namespace retain::framework
