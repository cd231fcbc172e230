// SPDX-License-Identifier: Apache-2.0
// Qwen2.5-VL's configuration in both styles, its parameter table at published sizes and on every mesh.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/lmm/table.h"
#include "tests/support/scratch.h"

namespace retain::models {
namespace {

namespace json = framework::json;
using framework::DType;
using framework::Error;
using framework::ErrorKind;
using parallel::ParameterSpec;
using parallel::ParameterTable;
using testing::HasSubstr;

const std::filesystem::path kFamily = std::filesystem::path(RETAIN_FIXTURES) / "models/qwen2_5_vl";

LmmConfig read_value(const json::value& value) {
  const tests::Scratch scratch;
  std::ofstream(scratch / "config.json") << json::serialize(value);
  return read_config(scratch.path());
}

LmmConfig read_text(const std::string& text) {
  return read_value(framework::parse_json(text, "text"));
}

ParameterTable table_of(const LmmConfig& config, int tensors, int stages) {
  return build_table(config, tensors, partition_for(config, stages), DType::bfloat16);
}

TEST(QwenConfig, StylesAgree) {
  for (const char* file : {"hf/config.json", "hub/config.json"}) {
    SCOPED_TRACE(file);
    const LmmConfig config = read_config_file(kFamily / file);
    EXPECT_EQ(config.family, "qwen2_5_vl");
    EXPECT_EQ(config.text.hidden, 48);
    EXPECT_EQ(config.text.layers, 3);
    EXPECT_EQ(config.text.heads, 3);
    EXPECT_EQ(config.text.kv_heads, 1);
    EXPECT_EQ(config.text.vocabulary, 352);
    EXPECT_EQ(config.text.rope_theta, 1e6);
    EXPECT_EQ(config.text.rope_sections, (std::vector<std::int64_t>{2, 3, 3}));
    EXPECT_TRUE(config.text.tied_head);
    EXPECT_EQ(config.image_token, 336);
    EXPECT_EQ(config.video_token, 337);
    EXPECT_EQ(config.eos_tokens, std::vector<std::int64_t>{332});
    EXPECT_EQ(config.stored_dtype, DType::float32);
    EXPECT_EQ(config.vision.hidden, 32);
    EXPECT_EQ(config.vision.layers, 4);
    EXPECT_EQ(config.vision.heads, 2);
    EXPECT_EQ(config.vision.intermediate, 52);
    EXPECT_EQ(config.vision.patch_size, 7);
    ASSERT_TRUE(config.vision.windowed.has_value());
    EXPECT_EQ(config.vision.windowed->window_tokens(7), 2);
    EXPECT_EQ(config.vision.windowed->full_layers, (std::vector<std::int64_t>{1, 3}));
    EXPECT_EQ(config.vision.windowed->tokens_per_second, 4);
    EXPECT_EQ(config.vision.windowed->frames, 2);
  }
}

TEST(QwenConfig, AbsentFieldsTakeTheDefaultsOfTransformers) {
  const LmmConfig config = read_text(
      R"({"model_type":"qwen2_5_vl","dtype":"bfloat16","hidden_size":3584,"num_attention_heads":28,"num_key_value_heads":4})");
  EXPECT_EQ(config.text.intermediate, 29568);
  EXPECT_EQ(config.text.layers, 80);
  EXPECT_EQ(config.text.norm_eps, 1e-5);
  EXPECT_EQ(config.text.rope_theta, 1e6);
  EXPECT_EQ(config.text.rope_sections, (std::vector<std::int64_t>{16, 24, 24}));
  EXPECT_FALSE(config.text.tied_head);
  EXPECT_EQ(config.vision.hidden, 3584);
  EXPECT_EQ(config.vision.windowed->full_layers, (std::vector<std::int64_t>{7, 15, 23, 31}));
  EXPECT_EQ(config.image_token, 151655);
  EXPECT_TRUE(read_text(R"({"model_type":"qwen2_5_vl","text_config":{"hidden_size":3584,"num_attention_heads":28,
      "num_key_value_heads":4,"tie_word_embeddings":true}})")
                  .text.tied_head);
}

struct Spoiled {
  const char* file;
  const char* pointer;
  json::value value;
  ErrorKind kind;
};

TEST(QwenConfig, RefusesByFileAndField) {
  const auto invalid = ErrorKind::config_invalid, unsupported = ErrorKind::config_unsupported;
  constexpr const char *nested = "hf/config.json", *flat = "hub/config.json";
  const std::vector<Spoiled> cases{
      {nested, "/text_config/rope_parameters/mrope_section", json::array{2, 3, 4}, invalid},
      {nested, "/text_config/rope_parameters/mrope_section", json::array{-2, 5, 5}, invalid},
      {nested, "/text_config/rope_parameters/rope_type", "yarn", unsupported},
      {flat, "/rope_scaling/type", "yarn", unsupported},
      {nested, "/text_config/num_attention_heads", 5, invalid},
      {nested, "/text_config/num_key_value_heads", 2, invalid},
      {nested, "/text_config/hidden_act", "gelu", unsupported},
      {nested, "/text_config/vocab_size", "many", invalid},
      {flat, "/vocab_size", 336, invalid},
      {nested, "/vision_config/num_heads", 3, invalid},
      {nested, "/vision_config/num_heads", 16, invalid},
      {nested, "/vision_config/out_hidden_size", 32, invalid},
      {nested, "/vision_config/window_size", 13, invalid},
      {nested, "/vision_config/hidden_act", "quick_gelu", unsupported},
      {nested, "/vision_config/patch_size", json::array{7, 8}, unsupported},
      {nested, "/vision_config/patch_size", 0, invalid},
      {nested, "/vision_config/spatial_merge_size", 0, invalid},
      {nested, "/vision_config/in_channels", 1, unsupported},
      {nested, "/vision_config/tokens_per_second", -1, invalid},
      {nested, "/vision_config/fullatt_block_indexes", "all", invalid},
      {nested, "/vision_config/depth", 1e9, invalid},
      {nested, "/vision_config", json::array{}, invalid}};
  for (const Spoiled& spoiled : cases) {
    SCOPED_TRACE(spoiled.pointer);
    json::value document = framework::read_json(kFamily / spoiled.file);
    document.at_pointer(spoiled.pointer) = spoiled.value;
    try {
      read_value(document);
      ADD_FAILURE() << "accepted " << spoiled.value;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), spoiled.kind) << error.what();
      const std::string pointer = spoiled.pointer, field = pointer.substr(pointer.rfind('/') + 1);
      // A vocabulary below the image token is found where the token is read.
      EXPECT_THAT(error.what(), HasSubstr(pointer == "/vocab_size" ? "image_token_id" : field));
    }
  }
}

/// The hub's configuration of a released size, with what tells the sizes apart.
LmmConfig published(std::int64_t hidden, std::int64_t width, std::int64_t layers, std::int64_t heads,
                    std::int64_t kv_heads, std::int64_t vocabulary, bool tied, std::int64_t vision_width) {
  const json::object vision{{"depth", 32},
                            {"hidden_act", "silu"},
                            {"hidden_size", 1280},
                            {"num_heads", 16},
                            {"intermediate_size", vision_width},
                            {"in_chans", 3},
                            {"out_hidden_size", hidden},
                            {"patch_size", 14},
                            {"spatial_merge_size", 2},
                            {"spatial_patch_size", 14},
                            {"window_size", 112},
                            {"tokens_per_second", 2},
                            {"temporal_patch_size", 2},
                            {"fullatt_block_indexes", json::array{7, 15, 23, 31}}};
  const json::object rope{{"type", "mrope"}, {"mrope_section", json::array{16, 24, 24}}};
  return read_value(json::object{{"architectures", json::array{"Qwen2_5_VLForConditionalGeneration"}},
                                 {"hidden_act", "silu"},
                                 {"hidden_size", hidden},
                                 {"intermediate_size", width},
                                 {"num_hidden_layers", layers},
                                 {"num_attention_heads", heads},
                                 {"num_key_value_heads", kv_heads},
                                 {"vocab_size", vocabulary},
                                 {"tie_word_embeddings", tied},
                                 {"max_position_embeddings", 128000},
                                 {"rms_norm_eps", 1e-6},
                                 {"rope_theta", 1e6},
                                 {"sliding_window", 32768},
                                 {"use_sliding_window", false},
                                 {"torch_dtype", "bfloat16"},
                                 {"image_token_id", 151655},
                                 {"video_token_id", 151656},
                                 {"rope_scaling", rope},
                                 {"vision_config", vision}});
}

// Totals: transformers 5.23's Qwen2_5_VLForConditionalGeneration of the same configurations. The hub's index of
// Qwen2.5-VL-7B-Instruct gives "total_size": 16584333312, two bytes a parameter; the model cards say 3.75, 8.29
// and 73.4 billion.
TEST(QwenTable, CountsOfThePublishedSizes) {
  EXPECT_EQ(table_of(published(2048, 11008, 36, 16, 2, 151936, true, 3420), 1, 1).elements(), 3'754'622'976);
  EXPECT_EQ(table_of(published(3584, 18944, 28, 28, 4, 152064, false, 3420), 1, 1).elements(), 8'292'166'656);
  EXPECT_EQ(table_of(published(8192, 29568, 80, 64, 8, 152064, false, 3456), 8, 4).elements(), 73'410'777'344);
}

TEST(QwenTable, EveryTensorRankHoldsTheSameHeadsOfQueryKeyAndValue) {
  const LmmConfig config = published(3584, 18944, 28, 28, 4, 152064, false, 3420);
  for (const int ranks : {1, 3, 4, 28}) {
    const ParameterTable table = table_of(config, ranks, 1);
    const ParameterSpec& fused = *table.find("vision.blocks.3.attn.qkv.weight");
    EXPECT_EQ(fused.shape, (std::vector<std::int64_t>{3840, 1280}));
    EXPECT_EQ(fused.cut_blocks, 3);
    std::int64_t held = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const parallel::Range heads = parallel::even_share(16, ranks, rank);
      EXPECT_EQ(fused.cuts[static_cast<std::size_t>(rank)], (parallel::Range{heads.begin * 80, heads.end * 80}));
      held += fused.local_shape(rank)[0];
    }
    EXPECT_EQ(held, 3840);
  }
}

TEST(QwenTable, TheTowerCountsForTheFirstPipelineStage) {
  const LmmConfig config = published(3584, 18944, 28, 28, 4, 152064, false, 3420);
  EXPECT_GT(forward_cost(config, {.tiles = 1}).vision, 0);
  EXPECT_LT(partition_for(config, 4, {.tiles = 20, .text_tokens = 10}).layers.front().size(),
            partition_for(config, 4, {.tiles = 0, .text_tokens = 4096}).layers.front().size());
}

}  // namespace
}  // namespace retain::models
