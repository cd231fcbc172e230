// SPDX-License-Identifier: Apache-2.0
// Qwen2.5-VL's attention windows, weights in and out, records to samples.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/lmm/sample_builder.h"
#include "models/lmm/table.h"
#include "models/qwen2_5_vl/windows.h"
#include "models/weights/directory_source.h"
#include "models/weights/export.h"
#include "models/weights/load.h"
#include "models/weights/safetensors.h"
#include "reference.h"
#include "tests/support/scratch.h"

namespace retain::models {
namespace {

namespace json = framework::json;
using framework::DType;
using framework::Error;
using framework::ErrorKind;
using parallel::ParameterTable;

const std::filesystem::path kModel = std::filesystem::path(RETAIN_FIXTURES) / "models/qwen2_5_vl/hub";

TEST(QwenWindows, UnevenGridsAndWindowsLargerThanThePicture) {
  VisionConfig vision;
  vision.patch_size = 2;
  vision.windowed = WindowedVision{.frames = 2, .merge = 1, .window = 4};  // two by two patches
  const auto plan = qwen2_5_vl::plan_windows({1, 3, 3}, vision);
  const auto list = [](const at::Tensor& tensor) {
    return std::vector<std::int64_t>(tensor.const_data_ptr<std::int64_t>(),
                                     tensor.const_data_ptr<std::int64_t>() + tensor.numel());
  };
  EXPECT_EQ(list(plan.unit_order_U), (std::vector<std::int64_t>{0, 1, 3, 4, 2, 5, 6, 7, 8}));
  EXPECT_EQ(plan.window_starts, (std::vector<std::int64_t>{0, 4, 6, 8, 9}));
  EXPECT_EQ(list(plan.row_R), (std::vector<std::int64_t>{0, 0, 1, 1, 0, 1, 2, 2, 2}));
  EXPECT_EQ(list(plan.column_R), (std::vector<std::int64_t>{0, 1, 0, 1, 2, 2, 0, 1, 2}));
  vision.windowed->window = 100;
  EXPECT_EQ(qwen2_5_vl::plan_windows({2, 3, 3}, vision).window_starts, (std::vector<std::int64_t>{0, 9, 18}));
  EXPECT_EQ(qwen2_5_vl::plan_windows({2, 3, 3}, vision).frame_starts, (std::vector<std::int64_t>{0, 9, 18}));
}

TEST(QwenWindows, OrderAndPositionsEqualTransformers) {
  const tests::Reference reference("qwen2_5_vl");
  const LmmConfig& config = reference.config();
  for (const char* one : {"single", "pair"}) {
    const auto windows = SafetensorsDirectory::of_file(reference.folder() / "cases" / (std::string(one) + ".windows.safetensors"));
    const tests::Tensors expected = reference.tensors(one, "expected");
    const at::Tensor mask_BS = reference.tensors(one, "inputs").at("attention_mask");
    std::vector<at::Tensor> orders;
    std::vector<std::int64_t> starts = {0};
    std::int64_t units = 0, row = 0;
    for (const Sample& sample : reference.samples(one)) {
      for (const ImageInput& image : sample.images) {
        const auto plan = qwen2_5_vl::plan_windows({image.grid[0], image.grid[1], image.grid[2]}, config.vision);
        orders.push_back(plan.unit_order_U + units);
        units += image.tokens;
        const std::int64_t before = starts.back();
        for (std::size_t i = 1; i < plan.window_starts.size(); ++i) starts.push_back(before + plan.window_starts[i]);
      }
      const at::Tensor kept = mask_BS[row].nonzero().squeeze(1);
      const MicroBatch batch = pack(std::span(&sample, 1), LossAverage::token, 1, 1);
      EXPECT_TRUE(at::equal(batch.positions_T, expected.at("position_ids").select(1, row).index_select(1, kept))) << one;
      EXPECT_EQ(sample.next_position() - kept.size(0), expected.at("rope_deltas")[row++].item<std::int64_t>()) << one;
    }
    EXPECT_TRUE(at::equal(at::cat(orders), windows.read("window_index"))) << one;
    EXPECT_TRUE(at::equal(at::tensor(starts, at::kLong), windows.read("cu_window_seqlens"))) << one;
  }
}

TEST(QwenWeights, EveryMeshLoadsItsOwnSlicesOnly) {
  const LmmConfig config = read_config(kModel);
  const DirectorySource whole(kModel, config);
  for (const int tensors : {1, 2, 3}) {
    const ParameterTable table = build_table(config, tensors, partition_for(config, 1), DType::float32);
    for (int rank = 0; rank < tensors; ++rank) {
      const DirectorySource source(kModel, config);
      std::int64_t bytes = 0;
      const parallel::ParameterSet held = load_parameters(source, table, rank, 0, {.check_finite = true});
      for (const parallel::Parameter& parameter : held.all()) {
        const at::Tensor expected = parameter.spec.slice_of(read_tensor(whole, parameter.spec.name), rank);
        EXPECT_TRUE(at::equal(parameter.value, expected)) << parameter.spec.name;
        bytes += static_cast<std::int64_t>(parameter.value.nbytes());
      }
      EXPECT_EQ(source.bytes_read(), bytes);
    }
  }
}

TEST(QwenWeights, EveryNamingComesBackByteForByte) {
  const LmmConfig config = read_config(kModel);
  const DirectorySource source(kModel, config);
  for (const char* name : {"hub", "hf", "v4_52", "memory"}) {
    const tests::Scratch scratch;
    export_model(source, config, read_small_files(kModel), scratch / "copy", {.naming = name, .shard_bytes = 100'000});
    const DirectorySource copy(scratch / "copy", config);
    EXPECT_TRUE(copy.surplus().empty()) << name;
    EXPECT_EQ(copy.tensors(), source.tensors()) << name;
    for (const auto& tensor : source.tensors())
      EXPECT_TRUE(at::equal(read_tensor(copy, tensor.name), read_tensor(source, tensor.name))) << tensor.name;
    if (copy.naming().name != "hub") continue;
    EXPECT_EQ(copy.files().names(), source.files().names());
  }
}

TEST(QwenWeights, NamesEqualTransformersInEveryNaming) {
  const json::value names = framework::read_json(kModel.parent_path() / "key_names.json");
  const LmmConfig config = read_config(kModel);
  for (const auto& [memory, others] : names.as_object()) {
    const std::string canonical = naming(config, "memory").canonical(memory).value();
    for (const auto& [style, stored] : others.as_object()) {
      if (!stored.is_string()) continue;
      EXPECT_EQ(naming(config, style).stored(canonical), std::string(stored.as_string()));
      EXPECT_EQ(naming(config, style).canonical(std::string(stored.as_string())), canonical);
    }
  }
}

framework::Record record_of(const std::string& text) {
  const auto images = std::filesystem::path(RETAIN_FIXTURES) / "images";
  return framework::parse_record(framework::parse_json(text, "record"), "records.json", 0, images);
}

TEST(QwenSamples, PicturesBecomeRunsOfTokensWithPlacesInTheGrid) {
  const LmmConfig config = read_config(kModel);
  const SampleBuilder builder(kModel, config, framework::LabelMode::clean);
  const framework::Record record = record_of(R"({"image": ["gray.jpg", "one.png"], "conversations": [
      {"from": "human", "value": "<image>\nand <image> what?"}, {"from": "gpt", "value": "Yes"}]})");
  const Sample sample = builder.training_sample(record, Pictures::pixels);
  ASSERT_EQ(sample.images.size(), 2U);
  EXPECT_EQ(sample.images[0].grid, (std::array<std::int64_t, 3>{1, 6, 12}));  // tests/fixtures/images/patches.json
  EXPECT_EQ(sample.images[0].tokens, 18);
  EXPECT_EQ(sample.images[0].patches, 72);
  EXPECT_EQ(sample.images[1].tokens, 4);
  EXPECT_EQ(sample.images[0].pixels.sizes(), (std::vector<std::int64_t>{72, 294}));
  const auto first = static_cast<std::size_t>(std::find(sample.ids.begin(), sample.ids.end(), config.image_token) -
                                              sample.ids.begin());
  EXPECT_EQ(sample.ids[first - 1], 334);  // <|vision_start|>
  EXPECT_EQ(sample.ids[first + 18], 335);  // <|vision_end|>
  const auto at = static_cast<std::int64_t>(first);
  ASSERT_EQ(sample.positions.size(), sample.ids.size());
  EXPECT_EQ(sample.positions[first - 1], (std::array<std::int64_t, 3>{at - 1, at - 1, at - 1}));
  EXPECT_EQ(sample.positions[first], (std::array<std::int64_t, 3>{at, at, at}));
  EXPECT_EQ(sample.positions[first + 7], (std::array<std::int64_t, 3>{at, at + 1, at + 1}));
  EXPECT_EQ(sample.positions[first + 18], (std::array<std::int64_t, 3>{at + 6, at + 6, at + 6}));
  EXPECT_EQ(sample.next_position(), static_cast<std::int64_t>(sample.ids.size()) - (18 - 6) - (4 - 2));

  const Sample sizes = builder.training_sample(record, Pictures::sizes);
  EXPECT_EQ(sizes.ids, sample.ids);
  EXPECT_EQ(sizes.labels, sample.labels);
  EXPECT_EQ(sizes.positions, sample.positions);
  const Sample text = builder.training_sample(
      record_of(R"({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes"}]})"),
      Pictures::pixels);
  EXPECT_EQ(text.next_position(), static_cast<std::int64_t>(text.ids.size()));
}

TEST(QwenSamples, ATokenizerOfAnotherModelIsRefused) {
  LmmConfig config = read_config(kModel);
  config.image_token = 5;
  try {
    const SampleBuilder builder(kModel, config, framework::LabelMode::clean);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::tokenizer_invalid);
  }
}

TEST(QwenSamples, AProcessorOfAnotherModelIsRefused) {
  LmmConfig config = read_config(kModel);
  config.vision.patch_size = 14;
  EXPECT_THROW(SampleBuilder(kModel, config, framework::LabelMode::clean), Error);
}

}  // namespace
}  // namespace retain::models
