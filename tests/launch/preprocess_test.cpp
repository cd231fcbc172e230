// SPDX-License-Identifier: Apache-2.0
// `retain preprocess`: names, shapes and values of transformers' image processor; refusals that leave no file.
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "framework/base/json.h"
#include "models/weights/safetensors.h"

namespace retain::launch {
namespace {

namespace json = framework::json;
using Shape = std::vector<std::int64_t>;

const std::filesystem::path fixtures = RETAIN_FIXTURES;

class Preprocess : public testing::Test {
 protected:
  Preprocess()
      : folder_(std::filesystem::path(testing::TempDir()) / ("retain_preprocess." + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~Preprocess() override { std::filesystem::remove_all(folder_); }

  /// Exit status; standard output and error end up in text().
  int run(const std::filesystem::path& model, const std::vector<std::string>& images, const std::string& more = "") {
    std::string command =
        std::string(RETAIN_COMMAND) + " preprocess --model " + model.string() + " --out " + out().string();
    for (const std::string& image : images) command += " --image " + (fixtures / "images" / image).string();
    const int status = std::system((command + " " + more + " > " + (folder_ / "text").string() + " 2>&1").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::filesystem::path out() const { return folder_ / "pixels.safetensors"; }
  std::string text() const { return framework::read_file(folder_ / "text"); }
  models::SafetensorsDirectory result() const { return models::SafetensorsDirectory::of_file(out()); }

  std::filesystem::path folder_;
};

template <typename Value>
std::vector<Value> values_of(const models::SafetensorsDirectory& file, const std::string& name) {
  const auto bytes = file.bytes(name);
  std::vector<Value> values(bytes.size() / sizeof(Value));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

TEST_F(Preprocess, WritesWhatTheProcessorReturns) {
  const json::value expected = framework::read_json(fixtures / "images" / "processed.json");
  std::vector<std::string> images;
  std::vector<const json::object*> rows;
  std::int64_t most = 0;
  for (const json::value& row : expected.at("oracle").as_array()) {
    if (row.at("processor").as_string() != "llava_onevision/tiny") continue;
    images.emplace_back(row.at("image").as_string());
    rows.push_back(&row.as_object());
    most = std::max(most, row.at("shape").at(1).as_int64());
  }
  ASSERT_EQ(run(fixtures / "images/processors/llava_onevision_tiny", images), 0) << text();
  const auto file = result();
  EXPECT_EQ(file.names(), (std::vector<std::string>{"batch_num_images", "image_sizes", "pixel_values"}));
  const auto count = static_cast<std::int64_t>(images.size());
  const std::int64_t side = rows.front()->at("shape").at(3).as_int64(), tile = 3 * side * side;
  EXPECT_EQ(file.find("pixel_values")->shape, (Shape{count, most, 3, side, side}));
  EXPECT_EQ(file.find("pixel_values")->dtype, framework::DType::float32);
  EXPECT_EQ(file.find("image_sizes")->dtype, framework::DType::int64);
  EXPECT_EQ(values_of<std::int64_t>(file, "batch_num_images"), Shape(images.size(), 1));
  const auto sizes = values_of<std::int64_t>(file, "image_sizes");
  const auto pixels = values_of<float>(file, "pixel_values");
  for (std::size_t i = 0; i < images.size(); ++i) {
    EXPECT_EQ(sizes[2 * i], rows[i]->at("image_sizes").at(0).at(0).as_int64());
    EXPECT_EQ(sizes[2 * i + 1], rows[i]->at("image_sizes").at(0).at(1).as_int64());
    const std::int64_t own = rows[i]->at("shape").at(1).as_int64() * tile;
    const float* begin = pixels.data() + static_cast<std::int64_t>(i) * most * tile;
    EXPECT_EQ(static_cast<std::int64_t>(crc32(0, reinterpret_cast<const Bytef*>(begin), static_cast<uInt>(own * 4))),
              rows[i]->at("crc32").to_number<std::int64_t>())
        << images[i];
    EXPECT_TRUE(std::all_of(begin + own, begin + most * tile, [](float value) { return value == 0.0F; })) << images[i];
  }
}

TEST_F(Preprocess, OriginalDirectoriesNeedNoProcessorFile) {
  const std::filesystem::path model = fixtures / "models/llava_onevision";
  ASSERT_EQ(run(model / "hub", {"photo.jpg", "one.png"}), 0) << text();
  const std::string hub = framework::read_file(out());
  ASSERT_EQ(run(model / "orig", {"photo.jpg", "one.png"}), 0) << text();
  EXPECT_EQ(framework::read_file(out()), hub);
}

TEST_F(Preprocess, PatchesComeWithTheirGrids) {
  const json::value expected = framework::read_json(fixtures / "images" / "patches.json");
  std::vector<std::string> images;
  std::vector<std::int64_t> grids;
  std::vector<const json::object*> rows;
  for (const json::value& row : expected.as_array()) {
    if (row.at("processor").as_string() != "patches_tiny" || row.as_object().contains("error")) continue;
    images.emplace_back(row.at("image").as_string());
    rows.push_back(&row.as_object());
    for (const json::value& side : row.at("grid").as_array()) grids.push_back(side.as_int64());
  }
  ASSERT_EQ(run(fixtures / "images/processors/patches_tiny", images), 0) << text();
  const auto file = result();
  EXPECT_EQ(file.names(), (std::vector<std::string>{"image_grid_thw", "pixel_values"}));
  EXPECT_EQ(values_of<std::int64_t>(file, "image_grid_thw"), grids);
  const auto pixels = values_of<float>(file, "pixel_values");
  const std::int64_t width = file.find("pixel_values")->shape.at(1);
  std::size_t first = 0;
  for (const json::object* row : rows) {
    const auto count = static_cast<std::size_t>(row->at("shape").at(0).as_int64() * width);
    ASSERT_LE(first + count, pixels.size());
    EXPECT_EQ(static_cast<std::int64_t>(
                  crc32(0, reinterpret_cast<const Bytef*>(pixels.data() + first), static_cast<uInt>(count * sizeof(float)))),
              row->at("crc32").to_number<std::int64_t>())
        << row->at("image");
    first += count;
  }
  EXPECT_EQ(first, pixels.size());
  EXPECT_NE(run(fixtures / "images/processors/patches_tiny", {"rgb.png", "one_row.png"}), 0);
  EXPECT_NE(text().find("[image_aspect_ratio]"), std::string::npos) << text();
}

TEST_F(Preprocess, FaithfulModeDropsTransparency) {
  const std::filesystem::path model = fixtures / "images/processors/llava_onevision_tiny";
  ASSERT_EQ(run(model, {"rgba.png"}), 0) << text();
  const std::string clean = framework::read_file(out());
  ASSERT_EQ(run(model, {"rgba.png"}, "--mode faithful"), 0) << text();
  EXPECT_NE(framework::read_file(out()), clean);
}

TEST_F(Preprocess, RefusalsSayWhyAndLeaveNothing) {
  const std::filesystem::path model = fixtures / "images/processors/llava_onevision_tiny";
  for (const auto& [image, kind] :
       std::vector<std::pair<std::string, std::string>>{{"corrupt/truncated.jpg", "image_truncated"},
                                                        {"corrupt/zero.png", "image_empty"},
                                                        {"corrupt/bad_crc.png", "image_corrupt"},
                                                        {"corrupt/huge_header.png", "image_too_large"},
                                                        {"absent.png", "io"}}) {
    const int status = run(model, {"rgb.png", image});
    EXPECT_GE(status, 1) << image;
    EXPECT_LE(status, 127) << image;
    EXPECT_NE(text().find("[" + kind + "]"), std::string::npos) << image << ": " << text();
    EXPECT_NE(text().find(image), std::string::npos) << text();
    EXPECT_FALSE(std::filesystem::exists(out())) << image;
  }
  EXPECT_NE(run(fixtures / "images/absent", {"rgb.png"}), 0);
}

}  // namespace
}  // namespace retain::launch
