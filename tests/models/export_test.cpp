// SPDX-License-Identifier: Apache-2.0
// Directories out: round trips bit for bit, shards, random weights.
#include "models/weights/export.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/initialise.h"
#include "models/weights/load.h"
#include "tests/support/scratch.h"

namespace retain::models {
namespace {

using framework::DType;
using framework::Error;
using framework::read_file;

const std::filesystem::path kModels = std::filesystem::path(RETAIN_FIXTURES) / "models/llava_onevision";

TEST(Export, HubComesBackByteForByte) {
  const tests::Scratch scratch;
  const LmmConfig config = read_config(kModels / "hub");
  export_model(DirectorySource(kModels / "hub", config), config, read_small_files(kModels / "hub"), scratch / "copy/");
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kModels / "hub")) {
    EXPECT_TRUE(read_file(entry.path()) == read_file(scratch / "copy" / entry.path().filename())) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(scratch / "copy"), {})));
}

TEST(Export, OriginalKeepsItsNamesTowerAndWeights) {
  const tests::Scratch scratch;
  const LmmConfig config = read_config(kModels / "orig");
  const DirectorySource source(kModels / "orig", config);
  export_model(source, config, read_small_files(kModels / "orig"), scratch / "copy",
               {.naming = "", .shard_bytes = 100'000});
  const LmmConfig again = read_config(scratch / "copy");
  const DirectorySource copy(scratch / "copy", again);
  EXPECT_EQ(copy.naming().name, "orig");
  EXPECT_EQ(again.vision.layers, config.vision.layers);
  ASSERT_EQ(copy.files().names(), source.files().names());
  for (const auto& tensor : source.tensors())
    EXPECT_TRUE(at::equal(read_tensor(copy, tensor.name), read_tensor(source, tensor.name))) << tensor.name;
  for (const auto& entry : std::filesystem::directory_iterator(scratch / "copy"))
    EXPECT_TRUE(entry.is_directory() || entry.file_size() < 120'000) << entry.path();
}

TEST(Export, EveryTransformersNamingLoads) {
  const LmmConfig config = read_config(kModels / "hub");
  const DirectorySource hub(kModels / "hub", config);
  for (const char* name : {"hf", "v4_52", "memory"}) {
    const tests::Scratch scratch;
    export_model(hub, config, read_small_files(kModels / "hub"), scratch / "copy", {.naming = name});
    const DirectorySource copy(scratch / "copy", config);
    EXPECT_EQ(copy.naming().name, name);
    EXPECT_TRUE(copy.surplus().empty());
    EXPECT_EQ(copy.tensors(), hub.tensors());
  }
}

TEST(Export, OriginalBecomesAHubModel) {
  const tests::Scratch scratch;
  const LmmConfig original = read_config(kModels / "orig");
  export_model(DirectorySource(kModels / "orig", original), original, read_small_files(kModels / "orig"),
               scratch / "copy", {.naming = "hub"});
  const LmmConfig hub = read_config(scratch / "copy");
  EXPECT_EQ(hub.naming, "hub");
  EXPECT_EQ(hub.vision.layers, original.vision.layers);
  EXPECT_EQ(hub.image_token, original.image_token);
  EXPECT_EQ(hub.pinpoints, original.pinpoints);
  EXPECT_EQ(hub.max_tiles, original.max_tiles);
  EXPECT_EQ(hub.eos_tokens, original.eos_tokens);
  EXPECT_EQ(hub.text.rope_theta, original.text.rope_theta);
  EXPECT_TRUE(read_file(scratch / "copy/model.safetensors") == read_file(kModels / "hub/model.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "copy/mm_vision_tower"));
  EXPECT_TRUE(std::filesystem::exists(scratch / "copy/preprocessor_config.json"));
}

TEST(Export, RefusesAForeignNamingAndAFullFolder) {
  const tests::Scratch scratch;
  const LmmConfig config = read_config(kModels / "hub");
  const DirectorySource hub(kModels / "hub", config);
  EXPECT_THROW(export_model(hub, config, {}, scratch / "copy", {.naming = "orig"}), Error);
  EXPECT_THROW(export_model(hub, config, {}, scratch / "copy", {.naming = "nonsense"}), Error);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
  export_model(hub, config, {}, scratch / "copy");
  EXPECT_THROW(export_model(hub, config, {}, scratch / "copy"), Error);
}

TEST(InitialWeights, ASeedGivesTheSameFilesOnAnyThreadCount) {
  const tests::Scratch scratch;
  const LmmConfig config = read_config(kModels / "hub");
  const SmallFiles files = read_small_files(kModels / "hub");
  const int threads = at::get_num_threads();
  write_initial_model(config, DType::bfloat16, files, scratch / "a", {.seed = 5});
  at::set_num_threads(threads == 1 ? 2 : 1);
  write_initial_model(config, DType::bfloat16, files, scratch / "b", {.seed = 5});
  write_initial_model(config, DType::bfloat16, files, scratch / "c", {.seed = 6});
  at::set_num_threads(threads);
  EXPECT_TRUE(read_file(scratch / "a/model.safetensors") == read_file(scratch / "b/model.safetensors"));
  EXPECT_FALSE(read_file(scratch / "a/model.safetensors") == read_file(scratch / "c/model.safetensors"));
  const LmmConfig written = read_config(scratch / "a");
  EXPECT_EQ(written.stored_dtype, DType::bfloat16);
  const DirectorySource source(scratch / "a", written);
  const auto table = build_table(written, 1, partition_for(written, 1), DType::float32);
  EXPECT_NO_THROW(check_source(source, table));
  EXPECT_NO_THROW(check_finite(source, table));
}

TEST(InitialWeights, HaveTheStatedDeviation) {
  const LmmConfig config = read_config(kModels / "hub");
  const auto table = build_table(config, 1, partition_for(config, 1), DType::float32);
  const auto deviation = [&](const char* name, const InitialWeights& settings) {
    const parallel::ParameterSpec& row = *table.find(name);
    std::vector<float> values(static_cast<std::size_t>(row.elements()));
    initial_values(row, config, settings, 0, values);
    return at::from_blob(values.data(), {row.elements()}, at::kFloat).square().mean().sqrt().item<double>();
  };
  const InitialWeights constant;
  const InitialWeights scaled{.scale = InitialScale::fan_in};
  EXPECT_NEAR(deviation("language.layers.0.mlp.up_proj.weight", constant), 0.02, 0.001);
  EXPECT_NEAR(deviation("language.layers.0.mlp.up_proj.weight", scaled), 0.8 / std::sqrt(48), 0.005);
  EXPECT_NEAR(deviation("language.layers.0.mlp.down_proj.weight", scaled), 0.8 / std::sqrt(88 * 6), 0.002);
  EXPECT_NEAR(deviation("vision.embeddings.patch_embedding.weight", scaled), 0.8 / std::sqrt(147), 0.003);
  EXPECT_NEAR(deviation("language.embed_tokens.weight", scaled), 0.05, 0.002);
  InitialWeights placed = scaled;
  placed.position_deviation = 1.5;
  EXPECT_NEAR(deviation("vision.embeddings.position_embedding.weight", scaled), 0.05, 0.004);
  EXPECT_NEAR(deviation("vision.embeddings.position_embedding.weight", placed), 1.5, 0.12);
  EXPECT_NEAR(deviation("language.embed_tokens.weight", placed), 0.05, 0.002);
  EXPECT_EQ(deviation("language.norm.weight", scaled), 1);
  EXPECT_EQ(deviation("vision.post_layernorm.bias", scaled), 0);
}

}  // namespace
}  // namespace retain::models
