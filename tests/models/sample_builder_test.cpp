// SPDX-License-Identifier: Apache-2.0
// Records to samples: equal to what Hugging Face's processor gave the reference cases, and what is refused.
#include "models/lmm/sample_builder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/weights/safetensors.h"
#include "tests/support/scratch.h"

namespace retain::models {
namespace {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;
using framework::LabelMode;
using framework::Record;

const std::filesystem::path kModels = std::filesystem::path(RETAIN_FIXTURES) / "models";
const std::filesystem::path kFamily = kModels / "llava_onevision";

Record record_of(json::value conversation, const json::value& images) {
  const json::value value{{"id", "r"}, {"conversations", std::move(conversation)}, {"image", images}};
  return framework::parse_record(value, kModels / "records.json", 0, kModels / "images");
}

Record simple(const std::string& question, const std::vector<std::string>& images) {
  json::array names(images.begin(), images.end());
  return record_of(json::array{json::object{{"from", "human"}, {"value", question}},
                               json::object{{"from", "gpt"}, {"value", "two"}}},
                   names);
}

at::Tensor row_of(const at::Tensor& values_BS, const at::Tensor& mask_BS, std::int64_t row) {
  return values_BS[row].masked_select(mask_BS[row].to(at::kBool));
}

/// A model's folder below fixtures/models, and a case of its manifest.
class ReferenceCase : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(ReferenceCase, GivesTheIdsLabelsAndPixelsOfHuggingFace) {
  const auto& [model, name] = GetParam();
  const std::filesystem::path family = (kModels / model).parent_path();
  const LmmConfig config = read_config(kModels / model);
  const SampleBuilder builder(kModels / model, config, LabelMode::clean);
  const json::value manifest = framework::read_json(family / "manifest.json");
  const json::object& described = manifest.at("cases").at(name).get_object();
  const std::string file(described.at("inputs").as_string());
  const auto inputs =
      SafetensorsDirectory::of_file(file.find('/') == file.npos ? family / "cases" / file : family / file);
  const at::Tensor mask_BS = inputs.read("attention_mask");
  const json::array& conversations = described.at("conversations").get_array();
  std::int64_t picture = 0;
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    const Record record = record_of(conversations[i], described.at("images").at(i));
    const Sample sample = builder.training_sample(record, Pictures::pixels);
    const Sample light = builder.training_sample(record, Pictures::sizes);
    const auto row = static_cast<std::int64_t>(i);
    EXPECT_TRUE(at::equal(at::tensor(sample.ids), row_of(inputs.read("input_ids"), mask_BS, row)));
    EXPECT_TRUE(at::equal(at::tensor(sample.labels), row_of(inputs.read("labels"), mask_BS, row)));
    EXPECT_EQ(light.ids, sample.ids);
    EXPECT_EQ(light.labels, sample.labels);
    for (std::size_t j = 0; j < sample.images.size(); ++j, ++picture) {
      const at::Tensor tiles_NCSS = sample.images[j].pixels;
      const at::Tensor all = inputs.read("pixel_values")[picture];
      const at::Tensor expected = all.dim() == 3 ? all.unsqueeze(0) : all.narrow(0, 0, tiles_NCSS.size(0));
      EXPECT_LE((tiles_NCSS - expected).abs().max().item<double>(), 1e-6);
      if (inputs.find("image_sizes") != nullptr) {
        EXPECT_EQ(inputs.read("image_sizes")[picture][0].item<std::int64_t>(), sample.images[j].height);
        EXPECT_EQ(inputs.read("image_sizes")[picture][1].item<std::int64_t>(), sample.images[j].width);
      }
      EXPECT_FALSE(sample.images[j].key.empty());
      EXPECT_FALSE(light.images[j].pixels.defined());
      EXPECT_EQ(light.images[j].tokens, sample.images[j].tokens);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ReferenceCase,
                         testing::Combine(testing::Values("llava_onevision/hub", "llava_onevision/orig",
                                                          "llava_next_rope3/hub", "llava_next_rope3/orig",
                                                          "llava_next_plain/hf", "llava_1_5/hub", "llava_1_5/orig"),
                                          testing::Values("single", "pair", "text")));

TEST(SampleBuilder, PromptsLeaveOutTheLastAnswer) {
  const SampleBuilder builder(kFamily / "hub", read_config(kFamily / "hub"), LabelMode::clean);
  const json::value manifest = framework::read_json(kFamily / "manifest.json");
  const json::object& described = manifest.at("cases").at("single").get_object();
  const auto expected = SafetensorsDirectory::of_file(kFamily / "cases/single.generate.safetensors");
  const Sample prompt = builder.prompt_sample(
      record_of(described.at("conversations").at(0), described.at("images").at(0)), Pictures::sizes);
  const at::Tensor ids = expected.read("input_ids")[0];
  EXPECT_TRUE(
      at::equal(at::tensor(prompt.ids), ids.narrow(0, ids.size(0) - static_cast<std::int64_t>(prompt.ids.size()),
                                                   static_cast<std::int64_t>(prompt.ids.size()))));
  EXPECT_EQ(prompt.answers(), 0);
  EXPECT_EQ(prompt.labels.size(), prompt.ids.size());
}

TEST(SampleBuilder, SeveralPicturesAreOneTileEach) {
  const LmmConfig config = read_config(kFamily / "hub");
  const SampleBuilder builder(kFamily / "hub", config, LabelMode::clean);
  const Sample sample =
      builder.training_sample(simple("<image> or <image>?", {"pair0.png", "pair1.png"}), Pictures::pixels);
  ASSERT_EQ(sample.images.size(), 2U);
  for (const ImageInput& image : sample.images) {
    EXPECT_EQ(image.pixels.size(0), 1);
    EXPECT_EQ(image.tokens, config.vision.patches() + 1);
  }
  EXPECT_EQ(std::count(sample.ids.begin(), sample.ids.end(), config.image_token), 2 * (config.vision.patches() + 1));
}

TEST(SampleBuilder, FaithfulLabelsStructuralTokensButNoPicture) {
  const LmmConfig config = read_config(kFamily / "hub");
  const Record record = simple("<image>\nHow many?", {"single.png"});
  const Sample clean =
      SampleBuilder(kFamily / "hub", config, LabelMode::clean).training_sample(record, Pictures::sizes);
  const Sample faithful =
      SampleBuilder(kFamily / "hub", config, LabelMode::faithful).training_sample(record, Pictures::sizes);
  EXPECT_EQ(clean.ids, faithful.ids);
  EXPECT_GT(faithful.answers(), clean.answers());
  for (std::size_t i = 0; i < faithful.ids.size(); ++i)
    if (faithful.ids[i] == config.image_token) EXPECT_EQ(faithful.labels[i], -100);
}

ErrorKind kind_of(const Record& record) {
  const SampleBuilder builder(kFamily / "hub", read_config(kFamily / "hub"), LabelMode::clean);
  try {
    builder.training_sample(record, Pictures::pixels);
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("records.json"));
    return error.kind();
  }
  return ErrorKind::internal;
}

TEST(SampleBuilder, RefusalsNameTheRecord) {
  EXPECT_EQ(kind_of(simple("No picture here", {"single.png"})), ErrorKind::data_image_count);
  EXPECT_EQ(kind_of(simple("<image> <image>", {"single.png"})), ErrorKind::data_image_count);
  EXPECT_EQ(kind_of(simple("<image>", {"absent.png"})), ErrorKind::data_missing_image);
  const tests::Scratch scratch;
  std::ofstream(scratch / "text.png") << "not a picture";
  EXPECT_EQ(kind_of(simple("<image>", {(scratch / "text.png").string()})), ErrorKind::image_unrecognised);
  EXPECT_EQ(kind_of(record_of(json::array{json::object{{"from", "human"}, {"value", "Hi"}}}, json::array{})),
            ErrorKind::data_no_answer);
}

TEST(SampleBuilder, VideosAreForModelsThatTakeThem) {
  const auto record = [](const std::string& question, const json::value& frames) {
    const json::value value{{"video", frames},
                            {"conversations", json::array{json::object{{"from", "human"}, {"value", question}},
                                                          json::object{{"from", "gpt"}, {"value", "two"}}}}};
    return framework::parse_record(value, kModels / "records.json", 0, kModels / "images");
  };
  const json::array frames{"single.png", "pair0.png", "single.png"};
  EXPECT_EQ(kind_of(record("No place for it", frames)), ErrorKind::data_image_count);
  EXPECT_EQ(kind_of(record("<video>", json::array{"absent.png"})), ErrorKind::data_missing_image);
  const std::filesystem::path next = kModels / "llava_next_rope3/hub";
  const SampleBuilder none(next, read_config(next), LabelMode::clean);
  EXPECT_THROW(none.training_sample(record("<video>", frames), Pictures::pixels), Error);

  const LmmConfig config = read_config(kFamily / "hub");
  const Sample sample = SampleBuilder(kFamily / "hub", config, LabelMode::clean)
                            .training_sample(record("<video>\nWhat?", frames), Pictures::pixels);
  ASSERT_EQ(sample.images.size(), 1U);
  EXPECT_EQ(sample.images[0].frames, 3);
  EXPECT_EQ(std::count(sample.ids.begin(), sample.ids.end(), *config.video_token), sample.images[0].tokens);
  // LLaVA's own checkpoints have one id for all that is seen.
  const LmmConfig original = read_config(kFamily / "orig");
  const Sample same = SampleBuilder(kFamily / "orig", original, LabelMode::clean)
                          .training_sample(record("<video>\nWhat?", frames), Pictures::pixels);
  EXPECT_EQ(std::count(same.ids.begin(), same.ids.end(), original.image_token), sample.images[0].tokens);
  EXPECT_TRUE(at::equal(same.images[0].pixels, sample.images[0].pixels));
}

}  // namespace
}  // namespace retain::models
