// SPDX-License-Identifier: Apache-2.0
// Parameter counts of the published shapes from config.json alone. The fields are those of the hub's files. Totals: the
// hub's model pages round them to 0.9B, 8.03B, 73.2B, 8.36B, 7.06B, 7.57B and 7.06B; to the last digit they are what
// transformers 5.23 counts in its own model of the same configuration. Recipes: LMM_CL's selections on Qwen2-7B and
// LLaMA-3-8B.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "models/lmm/config.h"
#include "models/lmm/table.h"
#include "tests/support/scratch.h"

namespace retain::models {
namespace {

constexpr const char* kSiglip =
    R"("vision_config":{"model_type":"siglip_vision_model","hidden_size":1152,"image_size":384,
  "intermediate_size":4304,"num_attention_heads":16,"num_hidden_layers":26,"patch_size":14,"vision_use_head":false})";
constexpr const char* kClip = R"("vision_config":{"model_type":"clip_vision_model","hidden_size":1024,"image_size":336,
  "intermediate_size":4096,"num_attention_heads":16,"num_hidden_layers":24,"patch_size":14,"projection_dim":768,"vocab_size":32000})";
constexpr const char* kQwen05 =
    R"({"model_type":"qwen2","hidden_size":896,"intermediate_size":4864,"num_hidden_layers":24,
  "num_attention_heads":14,"num_key_value_heads":2,"vocab_size":152000,"tie_word_embeddings":true})";
constexpr const char* kQwen72 =
    R"({"model_type":"qwen2","hidden_size":8192,"intermediate_size":29568,"num_hidden_layers":80,
  "num_attention_heads":64,"num_key_value_heads":8,"vocab_size":152064})";
constexpr const char* kVicuna =
    R"({"model_type":"llama","max_position_embeddings":4096,"rms_norm_eps":1e-05,"vocab_size":32064})";
constexpr const char* kMistral = R"({"model_type":"mistral","intermediate_size":14336,"max_position_embeddings":32768,
  "num_key_value_heads":8,"rms_norm_eps":1e-05,"rope_theta":1000000.0,"sliding_window":null,"vocab_size":32064})";

parallel::ParameterTable table_of(const char* family, const char* text, const char* vision) {
  const tests::Scratch scratch;
  std::ofstream(scratch / "config.json") << R"({"torch_dtype":"bfloat16","image_token_index":1,"model_type":")"
                                         << family << R"(","text_config":)" << text << "," << vision << "}";
  const LmmConfig config = read_config(scratch.path());
  return build_table(config, 1, partition_for(config, 1), config.stored_dtype);
}

/// A shape of examples/paper/models.
parallel::ParameterTable table_of(const std::string& folder) {
  const LmmConfig config = read_config(std::filesystem::path(RETAIN_SOURCE) / "examples/paper/models" / folder);
  return build_table(config, 1, partition_for(config, 1), config.stored_dtype);
}

/// Elements of the parameters whose name holds `part`, below `prefix`.
std::int64_t elements(const parallel::ParameterTable& table, const std::string& prefix,
                      const std::vector<std::string>& parts) {
  std::int64_t total = 0;
  for (const parallel::ParameterSpec& row : table.rows())
    for (const std::string& part : parts)
      if (row.name.starts_with(prefix) && row.name.find(part) != std::string::npos) total += row.elements();
  return total;
}

struct Published {
  const char* name;
  const char* family;
  const char* text;
  const char* vision;
  std::int64_t total;
};

TEST(ParameterCounts, EqualThePublishedTotals) {
  const std::vector<Published> models{
      {"llava-onevision-qwen2-0.5b", "llava_onevision", kQwen05, kSiglip, 893'675'552},
      {"llava-onevision-qwen2-72b", "llava_onevision", kQwen72, kSiglip, 73'180'522'016},
      {"llava-v1.6-vicuna-7b", "llava_next", kVicuna, kClip, 7'063'431'168},
      {"llava-1.5-7b", "llava", kVicuna, kClip, 7'063'427'072},
      {"llava-v1.6-mistral-7b", "llava_next", kMistral, kClip, 7'566'747'648}};
  for (const Published& model : models)
    EXPECT_EQ(elements(table_of(model.family, model.text, model.vision), "", {""}), model.total) << model.name;
}

TEST(ParameterCounts, OfThePapersModels) {
  EXPECT_EQ(elements(table_of("llava_onevision_7b"), "", {""}), 8'030'348'832);
  EXPECT_EQ(elements(table_of("llama3_llava_next_8b"), "", {""}), 8'355'276'800);
  EXPECT_EQ(elements(table_of("qwen2_5_vl_7b"), "", {""}), 8'292'166'656);
}

TEST(ParameterCounts, ClipTowerIsOpenAis) {
  EXPECT_EQ(elements(table_of("llava_next", kVicuna, kClip), "vision.", {""}), 303'507'456);
}

TEST(ParameterCounts, RecipesOfThePaper) {
  const auto qwen = table_of("llava_onevision_7b"), llama = table_of("llama3_llava_next_8b");
  const std::string layers = "language.layers.";
  EXPECT_EQ(elements(qwen, layers, {"self_attn."}), 822'212'608);
  EXPECT_EQ(elements(qwen, layers, {"mlp.gate_proj", "mlp.up_proj"}), 3'802'136'576);
  EXPECT_EQ(elements(qwen, layers, {"mlp."}), 5'703'204'864);
  EXPECT_EQ(elements(llama, layers, {"self_attn."}), 1'342'177'280);
  EXPECT_EQ(elements(llama, layers, {"mlp.gate_proj", "mlp.up_proj"}), 3'758'096'384);
  EXPECT_EQ(elements(llama, layers, {"mlp."}), 5'637'144'576);
}

}  // namespace
}  // namespace retain::models
