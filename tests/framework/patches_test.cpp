// SPDX-License-Identifier: Apache-2.0
// Patches, grids and token counts equal transformers' Qwen2VLImageProcessor bit for bit, on every picture of the
// fixtures.
#include "framework/image/patches.h"

#include <fstream>

#include "image_fixtures.h"
#include "tests/support/scratch.h"

namespace retain::framework {
namespace {

PatchSettings settings_of(const json::value& want) {
  return read_patch_settings(picture("processors") / std::string(want.at("processor").as_string()));
}

TEST(Patches, EqualTransformers) {
  const json::value expected = read_json(picture("patches.json"));
  for (const json::value& want : expected.as_array()) {
    SCOPED_TRACE(json::serialize(want));
    const PatchSettings settings = settings_of(want);
    const Image image = load_image(picture(std::string(want.at("image").as_string())));
    if (want.as_object().contains("error")) {
      EXPECT_EQ(outcome([&] { process_patches(image, settings); }), want.at("error").as_string());
      EXPECT_EQ(outcome([&] { plan_patches(image.height, image.width, settings); }), want.at("error").as_string());
      continue;
    }
    const ProcessedPatches got = process_patches(image, settings);
    const json::array& grid = want.at("grid").as_array();
    EXPECT_EQ(got.grid, (PatchGrid{grid[0].as_int64(), grid[1].as_int64(), grid[2].as_int64()}));
    EXPECT_EQ(got.grid, plan_patches(image.height, image.width, settings));
    EXPECT_EQ(got.grid.patches() / (settings.merge * settings.merge), want.at("tokens").as_int64());
    EXPECT_EQ(settings.patch_values(), want.at("shape").at(1).as_int64());
    EXPECT_EQ(got.values.size(), static_cast<std::size_t>(got.grid.patches() * settings.patch_values()));
    const auto* bytes = reinterpret_cast<const Bytef*>(got.values.data());
    EXPECT_EQ(static_cast<std::int64_t>(crc32(0, bytes, static_cast<uInt>(got.values.size() * sizeof(float)))),
              want.at("crc32").to_number<std::int64_t>());
    EXPECT_EQ(got.original_height, image.height);
    EXPECT_EQ(got.original_width, image.width);
  }
}

/// What becomes of a processor file with this text.
std::string outcome_of(const std::string& text) {
  const tests::Scratch scratch;
  std::ofstream(scratch / "preprocessor_config.json") << text;
  return outcome([&] { read_patch_settings(scratch.path()); });
}

TEST(Patches, SettingsInEverySpelling) {
  const tests::Scratch scratch;
  const auto read = [&](const std::string& text) {
    std::ofstream(scratch / "preprocessor_config.json") << text;
    return read_patch_settings(scratch.path());
  };
  EXPECT_EQ(read("{}").max_pixels, 28 * 28 * 1280);
  EXPECT_EQ(read("{}").min_pixels, 56 * 56);
  EXPECT_EQ(read(R"({"size": {"shortest_edge": 7, "longest_edge": 9}, "max_pixels": 11})").max_pixels, 11);
  EXPECT_EQ(read(R"({"size": {"shortest_edge": 7, "longest_edge": 9}, "max_pixels": 11})").min_pixels, 7);
  EXPECT_EQ(read(R"({"size": {"min_pixels": 7, "max_pixels": 9}, "min_pixels": 7, "max_pixels": 9})").max_pixels, 9);
  EXPECT_TRUE(makes_patches(picture("processors/patches_hub")));
  EXPECT_FALSE(makes_patches(picture("processors/llava_onevision_tiny")));
  std::filesystem::remove(scratch / "preprocessor_config.json");
  EXPECT_FALSE(makes_patches(scratch.path()));
  EXPECT_EQ(outcome([&] { read_patch_settings(scratch.path()); }), "io");
}

TEST(Patches, RefusesSettingsThatCannotBe) {
  for (const char* text :
       {"{", "[]", R"({"size": 3})", R"({"size": {"shortest_edge": 3}})",
        R"({"size": {"shortest_edge": 0, "longest_edge": 3}})", R"({"patch_size": 0})", R"({"patch_size": [14, 14]})",
        R"({"merge_size": 100000})", R"({"temporal_patch_size": "2"})", R"({"min_pixels": -1})",
        R"({"max_pixels": 1e30})", R"({"image_std": 0})"})
    EXPECT_EQ(outcome_of(text), "config_invalid") << text;
  EXPECT_EQ(outcome_of(R"({"image_processor_type": "LlavaNextImageProcessor"})"), "config_unsupported");
  EXPECT_EQ(outcome_of(R"({"resample": 1})"), "config_unsupported");
}

TEST(Patches, WithoutResizingWholeSquaresAreNeeded) {
  PatchSettings settings;
  settings.do_resize = false;
  settings.patch = 2;
  EXPECT_EQ(plan_patches(8, 12, settings), (PatchGrid{1, 4, 6}));
  EXPECT_EQ(outcome([&] { plan_patches(8, 10, settings); }), "data_invalid");
}

TEST(Patches, DigestTellsPicturesAndSettingsApart) {
  PatchSettings settings;
  settings.patch = 2;
  Image image{8, 8, std::vector<std::uint8_t>(192, 7)};
  const std::string digest = process_patches(image, settings).digest;
  EXPECT_EQ(process_patches(image, settings).digest, digest);
  PatchSettings other = settings;
  other.max_pixels += 1;
  EXPECT_NE(process_patches(image, other).digest, digest);
  other = settings;
  other.mean[1] += 1e-9;
  EXPECT_NE(process_patches(image, other).digest, digest);
  image.rgb[5] ^= 1;
  EXPECT_NE(process_patches(image, settings).digest, digest);
}

Image filled(std::int64_t height, std::int64_t width, std::uint8_t value) {
  return {height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(height * width * 3), value)};
}

PatchSettings video_settings() {
  PatchSettings settings;
  settings.patch = settings.merge = 2;
  settings.min_pixels = 16;
  settings.max_pixels = 64;
  settings.do_normalize = settings.do_rescale = false;
  return settings;
}

TEST(Patches, FramesOfAVideoFillPatchesInPairsAndTheLastIsRepeated) {
  const PatchSettings settings = video_settings();
  const std::vector<Image> frames{filled(4, 8, 10), filled(4, 8, 20), filled(4, 8, 30)};
  const ProcessedPatches got = process_video_patches(frames, settings);
  EXPECT_EQ(got.grid, (PatchGrid{2, 2, 4}));
  ASSERT_EQ(got.values.size(), 16U * 24);
  // [patch, channel, frame of the patch, y, x]
  EXPECT_EQ(got.values[0], 10);
  EXPECT_EQ(got.values[4], 20);
  EXPECT_EQ(got.values[8 * 24], 30);
  EXPECT_EQ(got.values[8 * 24 + 4], 30);
  EXPECT_EQ(outcome([&] {
              process_video_patches(std::vector{filled(4, 8, 1), filled(8, 4, 1)}, settings);
            }),
            "data_invalid");
  const std::vector<Image> other{frames[0], frames[2], frames[1]};
  EXPECT_NE(process_video_patches(other, settings).digest, got.digest);
}

TEST(Patches, LongVideosShareTheirTokensWhereTheFileSaysSo) {
  PatchSettings settings = video_settings();
  settings.max_pixels = 4096;
  EXPECT_EQ(plan_video_patches(8, 64, 64, settings), (PatchGrid{4, 32, 32}));
  settings.caps_videos = true;
  settings.video_tokens = 160;  // 0.9 * 160 * 16 pixels, two frames a patch, over 8 frames: 576
  EXPECT_EQ(plan_video_patches(8, 64, 64, settings), (PatchGrid{4, 12, 12}));
  settings.min_pixels = 2048;  // never below a little more than the least
  EXPECT_EQ(plan_video_patches(8, 64, 64, settings), (PatchGrid{4, 22, 22}));
}

TEST(Patches, VideosHaveTheirOwnSettings) {
  const tests::Scratch scratch;
  std::ofstream(scratch / "preprocessor_config.json")
      << R"({"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14})";
  EXPECT_EQ(read_video_patch_settings(scratch.path()).min_pixels, 128 * 28 * 28);
  EXPECT_EQ(read_video_patch_settings(scratch.path()).max_pixels, 768 * 28 * 28);
  std::ofstream(scratch / "video_preprocessor_config.json")
      << R"({"video_processor_type": "Qwen2VLVideoProcessor", "max_pixels": 500000, "cap_pixels_per_frame": true})";
  EXPECT_EQ(read_video_patch_settings(scratch.path()).max_pixels, 500000);
  EXPECT_TRUE(read_video_patch_settings(scratch.path()).caps_videos);
  std::ofstream(scratch / "processor_config.json") << R"({"video_processor": {"max_pixels": 600000}})";
  EXPECT_EQ(read_video_patch_settings(scratch.path()).max_pixels, 600000);
  EXPECT_EQ(read_patch_settings(scratch.path()).max_pixels, 28 * 28 * 1280);
  std::ofstream(scratch / "processor_config.json") << R"({"video_processor": {"video_processor_type": "Other"}})";
  EXPECT_EQ(outcome([&] { read_video_patch_settings(scratch.path()); }), "config_unsupported");
}

}  // namespace
}  // namespace retain::framework
