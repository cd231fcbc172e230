// SPDX-License-Identifier: Apache-2.0
// config.json in its three styles, defaults of absent fields, refusals.
#include "models/lmm/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "tests/support/scratch.h"

namespace retain::models {
namespace {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;
using testing::HasSubstr;

const std::filesystem::path kModels = std::filesystem::path(RETAIN_FIXTURES) / "models/llava_onevision";

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

void write(const std::filesystem::path& file, const json::value& value) {
  write(file, framework::pretty(value));
}

LmmConfig read_text(const std::string& text) {
  const tests::Scratch scratch;
  write(scratch / "config.json", text);
  return read_config(scratch.path());
}

TEST(ModelConfig, StylesAgree) {
  for (const char* style : {"hub", "hf", "orig"}) {
    SCOPED_TRACE(style);
    const LmmConfig config = read_config(kModels / style);
    EXPECT_EQ(config.family, "llava_onevision");
    EXPECT_EQ(config.vision.hidden, 32);
    EXPECT_EQ(config.vision.layers, 3);
    EXPECT_EQ(config.vision.heads, 2);
    EXPECT_EQ(config.vision.intermediate, 64);
    EXPECT_EQ(config.vision.image_size, 30);
    EXPECT_EQ(config.vision.patch_size, 7);
    EXPECT_EQ(config.vision.grid(), 4);
    EXPECT_EQ(config.vision.activation, Activation::gelu_tanh);
    EXPECT_EQ(config.text.hidden, 48);
    EXPECT_EQ(config.text.heads, 4);
    EXPECT_EQ(config.text.kv_heads, 2);
    EXPECT_EQ(config.text.head_size, 12);
    EXPECT_EQ(config.text.vocabulary, 352);
    EXPECT_EQ(config.text.rope_theta, 1e6);
    EXPECT_FALSE(config.text.tied_head);
    EXPECT_EQ(config.image_token, 333);
    EXPECT_EQ(config.max_tiles, 9);
    EXPECT_EQ(config.eos_tokens, std::vector<std::int64_t>{332});
    EXPECT_EQ(config.stored_dtype, framework::DType::float32);
    ASSERT_EQ(config.pinpoints.size(), 36U);
    EXPECT_EQ(config.pinpoints[1],
              std::make_pair(std::int64_t{30}, std::int64_t{60}));  // (height, width) in all styles
  }
}

TEST(ModelConfig, AbsentFieldsTakeTheDefaultsOfTransformers) {
  const LmmConfig config = read_text(R"({"model_type":"llava_onevision","torch_dtype":"bfloat16"})");
  EXPECT_EQ(config.vision.hidden, 1152);
  EXPECT_EQ(config.vision.layers, 26);
  EXPECT_EQ(config.vision.image_size, 384);
  EXPECT_EQ(config.text.hidden, 4096);
  EXPECT_EQ(config.text.intermediate, 22016);
  EXPECT_EQ(config.text.kv_heads, 32);
  EXPECT_EQ(config.text.rope_theta, 1e4);
  EXPECT_EQ(config.image_token, 151646);
  EXPECT_EQ(config.pinpoints.size(), 36U);
  EXPECT_EQ(config.stored_dtype, framework::DType::bfloat16);
  const LmmConfig tower = read_text(R"({"model_type":"llava_onevision","vision_config":{"num_hidden_layers":2}})");
  EXPECT_EQ(tower.vision.hidden, 768);
  EXPECT_EQ(tower.vision.layers, 2);
  const LmmConfig heads = read_text(
      R"({"model_type":"llava_onevision","text_config":{"num_attention_heads":16,"num_key_value_heads":null}})");
  EXPECT_EQ(heads.text.kv_heads, 16);
}

TEST(ModelConfig, EitherPlaceTiesTheHead) {
  EXPECT_TRUE(read_text(R"({"model_type":"llava_onevision","tie_word_embeddings":true})").text.tied_head);
  EXPECT_TRUE(
      read_text(R"({"model_type":"llava_onevision","text_config":{"tie_word_embeddings":true}})").text.tied_head);
}

TEST(ModelConfig, OriginalTowerFromTheHubTable) {
  const LmmConfig config = read_text(R"json({"architectures":["LlavaQwenForCausalLM"],"hidden_size":3584,
    "num_attention_heads":28,"num_key_value_heads":4,"num_hidden_layers":28,"intermediate_size":18944,"vocab_size":152064,
    "rope_theta":1000000.0,"mm_vision_tower":"google/siglip-so400m-patch14-384","mm_hidden_size":1152,
    "image_aspect_ratio":"anyres_max_9","image_grid_pinpoints":"(1x1),...,(6x6)","mm_projector_type":"mlp2x_gelu",
    "mm_patch_merge_type":"spatial_unpad","mm_vision_select_layer":-2,"eos_token_id":151645,"torch_dtype":"bfloat16"})json");
  EXPECT_EQ(config.vision.layers, 26);
  EXPECT_EQ(config.vision.patches(), 27 * 27);
  EXPECT_EQ(config.image_token, 151646);
  ASSERT_EQ(config.pinpoints.size(), 36U);
  EXPECT_EQ(config.pinpoints[1], std::make_pair(std::int64_t{768}, std::int64_t{384}));  // one tile wide, two high
}

TEST(ModelConfig, OriginalImageTokenFollowsTheTokenizer) {
  const tests::Scratch scratch;
  for (const char* file : {"config.json", "mm_vision_tower/config.json"})
    write(scratch / file, framework::read_file(kModels / "orig" / file));
  write(scratch / "tokenizer.json",
        std::string(R"({"added_tokens":[{"id":4,"content":"<|im_end|>"}],"model":{"vocab":{"a":0,"b":3}}})"));
  EXPECT_EQ(read_config(scratch.path()).image_token, 5);
}

TEST(ModelConfig, GenerationConfigNamesTheEnds) {
  const tests::Scratch scratch;
  write(scratch / "config.json", framework::read_file(kModels / "hub/config.json"));
  EXPECT_EQ(read_config(scratch.path()).eos_tokens, std::vector<std::int64_t>{332});
  write(scratch / "generation_config.json", std::string(R"({"eos_token_id":[7,8]})"));
  EXPECT_EQ(read_config(scratch.path()).eos_tokens, (std::vector<std::int64_t>{7, 8}));
}

struct Spoiled {
  const char* style;
  const char* pointer;  ///< JSON pointer of the field that is changed
  json::value value;
  ErrorKind kind;
};

TEST(ModelConfig, RefusesByFileAndField) {
  const auto invalid = ErrorKind::config_invalid;
  const auto unsupported = ErrorKind::config_unsupported;
  const std::vector<Spoiled> cases{{"hub", "/text_config/num_attention_heads", 0, invalid},
                                   {"hub", "/text_config/num_attention_heads", 5, invalid},
                                   {"hub", "/text_config/num_key_value_heads", 3, invalid},
                                   {"hub", "/text_config/hidden_size", -48, invalid},
                                   {"hub", "/text_config/hidden_size", "48", invalid},
                                   {"hub", "/text_config/hidden_size", 48.5, invalid},
                                   {"hub", "/text_config/vocab_size", 1e18, invalid},
                                   {"hub", "/text_config/rms_norm_eps", 0, invalid},
                                   {"hub", "/text_config/rope_theta", -1, invalid},
                                   {"hub", "/text_config/rope_scaling", json::object{{"type", "yarn"}}, unsupported},
                                   {"hf", "/text_config/rope_parameters/rope_type", "dynamic", unsupported},
                                   {"hub", "/text_config/use_sliding_window", "yes", invalid},
                                   {"hub", "/text_config/model_type", "llama", unsupported},
                                   {"hub", "/text_config/hidden_act", "relu6", unsupported},
                                   {"hub", "/text_config", 3, invalid},
                                   {"hub", "/vision_config/num_attention_heads", 3, invalid},
                                   {"hub", "/vision_config/patch_size", 31, invalid},
                                   {"hub", "/vision_config/image_size", 0, invalid},
                                   {"hub", "/vision_config/model_type", "clip_vision_model", unsupported},
                                   {"hub", "/image_token_index", 352, invalid},
                                   {"hub", "/image_token_index", -200, invalid},
                                   {"hub", "/image_grid_pinpoints", json::array{}, invalid},
                                   {"hub", "/image_grid_pinpoints", json::array{json::array{30, 31}}, invalid},
                                   {"hub", "/image_grid_pinpoints", json::array{30, 30}, invalid},
                                   {"hub", "/vision_aspect_ratio", "pad", unsupported},
                                   {"hub", "/vision_aspect_ratio", "anyres_max_0", invalid},
                                   {"hub", "/vision_feature_layer", 5, invalid},
                                   {"hub", "/vision_feature_layer", json::array{-2, -1}, unsupported},
                                   {"hub", "/vision_feature_select_strategy", "default", unsupported},
                                   {"hub", "/torch_dtype", "int4", unsupported},
                                   {"hub", "/architectures", "Llama", invalid},
                                   {"orig", "/mm_projector_type", "linear", unsupported},
                                   {"orig", "/mm_vision_tower", "openai/clip-vit-large-patch14", unsupported},
                                   {"orig", "/mm_hidden_size", 33, invalid},
                                   {"orig", "/image_grid_pinpoints", "six by six", invalid}};
  for (const Spoiled& spoiled : cases) {
    SCOPED_TRACE(spoiled.pointer);
    const tests::Scratch scratch;
    std::filesystem::copy(kModels / "orig/mm_vision_tower", scratch / "mm_vision_tower");
    json::value document = framework::read_json(kModels / spoiled.style / "config.json");
    document.at_pointer(spoiled.pointer) = spoiled.value;
    write(scratch / "config.json", document);
    try {
      read_config(scratch.path());
      ADD_FAILURE() << "accepted " << spoiled.value;
    } catch (const Error& error) {
      const std::string field = std::string(spoiled.pointer).substr(std::string(spoiled.pointer).rfind('/') + 1);
      EXPECT_EQ(error.kind(), spoiled.kind) << error.what();
      EXPECT_THAT(error.what(), HasSubstr((scratch / "config.json").string()));
      EXPECT_THAT(error.what(), HasSubstr(field));
    }
  }
}

TEST(ModelConfig, NamesSupportedArchitectures) {
  try {
    read_text(R"({"architectures":["MambaForCausalLM"]})");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::config_unsupported);
    EXPECT_THAT(error.what(), HasSubstr("LlavaOnevisionForConditionalGeneration, LlavaQwenForCausalLM"));
  }
}

TEST(ModelConfig, RefusesWhatIsNoConfiguration) {
  for (const char* text : {"", "[]", "3", "{\"architectures\": [", "{\"architectures\": []}", "{}", "\xff\xfe"})
    EXPECT_THROW(read_text(text), Error) << text;
  const tests::Scratch empty;
  EXPECT_THROW(read_config(empty.path()), Error);
  EXPECT_THROW(read_config(empty / "absent"), Error);
}

}  // namespace
}  // namespace retain::models
