// SPDX-License-Identifier: Apache-2.0
// Tiles and visual tokens equal transformers' image processors: whole tensors bit for bit at tiny settings, sampled
// values at the settings of released models.
#include "framework/image/processor.h"

#include <unistd.h>

#include <fstream>

#include "image_fixtures.h"

namespace retain::framework {
namespace {

const json::object& processed_pictures() {
  static const json::value value = read_json(picture("processed.json"));
  return value.as_object();
}

std::filesystem::path processor_folder(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  return picture("processors") / name;
}

std::int64_t checksum(const std::vector<float>& values) {
  return static_cast<std::int64_t>(
      crc32(0, reinterpret_cast<const Bytef*>(values.data()), static_cast<uInt>(values.size() * sizeof(float))));
}

std::string text_of(const json::value& value) {
  return std::string(value.as_string());
}

/// Throws unless the folder written with `text` as its processor file is accepted.
std::string outcome_of_settings(const std::string& text, const std::optional<ModelPictures>& model = std::nullopt) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("retain_processor." + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "preprocessor_config.json") << text;
  const std::string result = outcome([&] { read_processor_settings(folder, model); });
  std::filesystem::remove_all(folder);
  return result;
}

TEST(Processor, EqualsTransformers) {
  for (const json::value& want : processed_pictures().at("oracle").as_array()) {
    const std::string processor = text_of(want.at("processor")), name = text_of(want.at("image"));
    const ProcessorSettings settings = read_processor_settings(processor_folder(processor));
    const ProcessedImage got = process_image(load_image(picture(name)), settings);
    const json::array& shape = want.at("shape").as_array();
    ASSERT_EQ(got.tiles_count, shape[1].as_int64()) << processor << " " << name;
    ASSERT_EQ(got.side, shape[3].as_int64());
    ASSERT_EQ(got.tiles.size(), static_cast<std::size_t>(got.tiles_count * 3 * got.side * got.side));
    EXPECT_EQ(got.original_height, want.at("image_sizes").at(0).at(0).as_int64());
    EXPECT_EQ(got.original_width, want.at("image_sizes").at(0).at(1).as_int64());
    const json::array &places = want.at("flat_indices").as_array(), &values = want.at("values").as_array();
    for (std::size_t i = 0; i < places.size(); ++i)
      ASSERT_NEAR(got.tiles.at(static_cast<std::size_t>(places[i].as_int64())), values[i].to_number<double>(), 1e-6)
          << processor << " " << name << " value " << places[i];
    if (const json::value* crc = want.as_object().if_contains("crc32")) {
      EXPECT_EQ(checksum(got.tiles), crc->to_number<std::int64_t>()) << processor << " " << name;
    }
  }
}

TEST(Processor, TokenCountsEqualTransformers) {
  for (const json::value& want : processed_pictures().at("oracle").as_array()) {
    const std::string processor = text_of(want.at("processor"));
    const ProcessorSettings settings = read_processor_settings(processor_folder(processor));
    AnyresSettings anyres{
        settings.pinpoints, settings.side(), settings.side() / want.at("patch_size").as_int64(), {}, true};
    if (processor.starts_with("llava_onevision")) anyres.max_tiles = 9;
    const std::int64_t height = want.at("image_sizes").at(0).at(0).as_int64();
    const std::int64_t width = want.at("image_sizes").at(0).at(1).as_int64();
    const json::array& best = want.at("best_resolution_hw").as_array();
    EXPECT_EQ(select_best_resolution(height, width, settings.pinpoints),
              (Resolution{best[0].as_int64(), best[1].as_int64()}));
    EXPECT_EQ(plan_anyres(height, width, anyres).tokens, want.at("num_image_tokens").as_int64())
        << processor << " " << want.at("image");
  }
}

TEST(Processor, UnusualSettingsAndSquaresEqualTransformers) {
  for (const json::value& want : processed_pictures().at("unusual").as_array()) {
    const std::string processor = text_of(want.at("processor")), name = text_of(want.at("image"));
    const ProcessorSettings settings = read_processor_settings(processor_folder(processor));
    const Tiling tiling = want.at("single").as_bool() ? Tiling::single : Tiling::anyres;
    const ProcessedImage got = process_image(load_image(picture(name)), settings, tiling);
    // A sample of two pictures is stacked as [2, 1 tile, …]; its first is compared.
    EXPECT_EQ(got.tiles_count, want.at("shape").at(0).as_int64()) << processor << " " << name;
    EXPECT_EQ(checksum(got.tiles), want.at("crc32").to_number<std::int64_t>())
        << processor << " " << name << " single " << want.at("single");
  }
}

TEST(Processor, OriginalDirectoriesFollowTheModel) {
  const ModelPictures siglip{30, {{30, 30}, {30, 60}}, false};
  const ProcessorSettings settings = read_processor_settings(picture("corrupt"), siglip);
  EXPECT_EQ(settings.side(), 30);
  EXPECT_EQ(settings.pinpoints, siglip.pinpoints);
  EXPECT_EQ(settings.mean, (std::array<double, 3>{0.5, 0.5, 0.5}));
  const ProcessorSettings clip = read_processor_settings(picture("corrupt"), ModelPictures{28, {{28, 56}}, true});
  EXPECT_DOUBLE_EQ(clip.mean[0], 0.48145466);
  EXPECT_EQ(outcome([] { read_processor_settings(picture("corrupt")); }), "io");
}

TEST(Processor, RefusesSettingsThatCannotBe) {
  EXPECT_EQ(outcome_of_settings("{}"), "ok");  // OneVision's defaults
  EXPECT_EQ(outcome_of_settings("{"), "config_invalid");
  EXPECT_EQ(outcome_of_settings("[]"), "config_invalid");
  for (const char* text :
       {R"({"size": 0})", R"({"size": {"height": 28, "width": 30}})", R"({"size": {"height": 28}})",
        R"({"size": "large"})", R"({"size": 100000000})", R"({"image_mean": [0.5, 0.5]})", R"({"image_std": 0})",
        R"({"image_std": "big"})", R"({"do_resize": 1})", R"({"image_grid_pinpoints": [[384]]})",
        R"({"image_grid_pinpoints": [[384, 385]]})", R"({"image_grid_pinpoints": []})", R"({"do_center_crop": true})",
        R"({"rescale_factor": "x"})"})
    EXPECT_EQ(outcome_of_settings(text), "config_invalid") << text;
  EXPECT_EQ(outcome_of_settings(R"({"resample": 1})"), "config_unsupported");
  EXPECT_EQ(outcome_of_settings(R"({"image_processor_type": "ViTImageProcessor"})"), "config_unsupported");
  EXPECT_EQ(
      outcome_of_settings(R"({"image_processor_type": "LlavaNextImageProcessorFast", "size": 336, "crop_size": 336})"),
      "ok");
  EXPECT_EQ(
      outcome_of_settings(R"({"size": 30, "image_grid_pinpoints": [[30, 60]]})", ModelPictures{28, {{28, 28}}, false}),
      "config_invalid");
}

TEST(Processor, DigestTellsPicturesAndSettingsApart) {
  const ProcessorSettings settings = read_processor_settings(processor_folder("llava_onevision_tiny"));
  Image image = load_image(picture("rgb.png"));
  const std::string digest = process_image(image, settings).digest;
  EXPECT_EQ(digest.size(), 32u);
  EXPECT_EQ(picture_digest(image, settings), digest);
  EXPECT_NE(picture_digest(image, settings, Tiling::single), digest);
  ProcessorSettings other = settings;
  other.mean[1] += 1e-9;
  EXPECT_NE(picture_digest(image, other), digest);
  image.rgb[5] ^= 1;
  EXPECT_NE(picture_digest(image, settings), digest);
}

}  // namespace
}  // namespace retain::framework
