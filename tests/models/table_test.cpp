// SPDX-License-Identifier: Apache-2.0
// The parameter table from configurations alone: counts, cuts, owners.
#include "models/lmm/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "framework/base/error.h"

namespace retain::models {
namespace {

using framework::DType;
using framework::Error;
using framework::ErrorKind;
using parallel::ParameterSpec;
using parallel::ParameterTable;
using parallel::Range;

LmmConfig qwen2_7b() {
  LmmConfig config;
  config.vision.hidden = 1152;
  config.vision.intermediate = 4304;
  config.vision.layers = 26;
  config.vision.heads = 16;
  config.vision.image_size = 384;
  config.vision.patch_size = 14;
  config.text.hidden = 3584;
  config.text.intermediate = 18944;
  config.text.layers = 28;
  config.text.heads = 28;
  config.text.kv_heads = 4;
  config.text.head_size = 128;
  config.text.vocabulary = 152064;
  return config;
}

LmmConfig small(std::int64_t heads, std::int64_t kv_heads, bool tied = false) {
  LmmConfig config;
  config.vision = {.hidden = 12, .intermediate = 20, .layers = 2, .heads = 3, .image_size = 30, .patch_size = 7};
  config.text.hidden = 8 * heads;
  config.text.intermediate = 22;
  config.text.layers = 5;
  config.text.heads = heads;
  config.text.kv_heads = kv_heads;
  config.text.head_size = 8;
  config.text.vocabulary = 101;
  config.text.tied_head = tied;
  return config;
}

ParameterTable table_of(const LmmConfig& config, int tensors, int stages) {
  return build_table(config, tensors, partition_for(config, stages), DType::bfloat16);
}

std::int64_t count(const ParameterTable& table, const std::vector<std::string>& parts) {
  std::int64_t elements = 0;
  for (const ParameterSpec& row : table.rows())
    for (const std::string& part : parts)
      if (row.name.starts_with("language.layers.") && row.name.find(part) != std::string::npos)
        elements += row.elements();
  return elements;
}

TEST(Table, CountsOfQwen2SevenBillion) {
  const ParameterTable table = table_of(qwen2_7b(), 1, 1);
  EXPECT_EQ(count(table, {"q_proj.", "k_proj.", "v_proj.", "o_proj."}), 822'212'608);
  EXPECT_EQ(count(table, {"gate_proj.", "up_proj."}), 3'802'136'576);
  EXPECT_EQ(count(table, {".mlp."}), 5'703'204'864);
}

TEST(Table, RowsAreTheSameOnEveryLayoutButForCutsAndOwners) {
  const ParameterTable one = table_of(small(6, 3), 1, 1);
  const ParameterTable many = table_of(small(6, 3), 4, 3);
  ASSERT_EQ(one.rows().size(), many.rows().size());
  for (std::size_t i = 0; i < one.rows().size(); ++i) {
    EXPECT_EQ(one.rows()[i].name, many.rows()[i].name);
    EXPECT_EQ(one.rows()[i].shape, many.rows()[i].shape);
    EXPECT_EQ(one.rows()[i].cut_dimension, many.rows()[i].cut_dimension);
  }
}

TEST(Table, CutsCoverTheirDimension) {
  for (const auto& [heads, kv_heads] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{4, 2}, {6, 3}, {5, 5}, {7, 1}, {9, 3}})
    for (int tensors = 1; tensors <= 4; ++tensors) {
      const ParameterTable table = table_of(small(heads, kv_heads), tensors, 1);
      for (const ParameterSpec& row : table.rows()) {
        if (row.cut_dimension < 0) continue;
        ASSERT_EQ(row.cuts.size(), static_cast<std::size_t>(tensors)) << row.name;
        std::int64_t covered = 0;
        for (const Range& cut : row.cuts) {
          EXPECT_LE(cut.begin, covered) << row.name;
          EXPECT_LE(cut.begin, cut.end);
          covered = std::max(covered, cut.end);
        }
        EXPECT_EQ(covered, row.shape[static_cast<std::size_t>(row.cut_dimension)]) << row.name;
        const bool key_value = row.name.find("language") == 0 &&
                               (row.name.find("k_proj") != row.name.npos || row.name.find("v_proj") != row.name.npos);
        EXPECT_TRUE(!row.overlapping() || key_value) << row.name;
      }
    }
}

TEST(Table, KeyValueHeadsAreThoseTheQueriesRead) {
  for (int rank = 0; rank < 4; ++rank) {
    const HeadShare share = head_share(small(4, 2).text, 4, rank);
    EXPECT_EQ(share.query, (Range{rank, rank + 1}));
    EXPECT_EQ(share.key_value, (Range{rank / 2, rank / 2 + 1}));
  }
  EXPECT_EQ(head_share(small(6, 3).text, 2, 0).key_value, (Range{0, 2}));  // queries 0-2 read heads 0, 0, 1
  EXPECT_EQ(head_share(small(6, 3).text, 2, 1).key_value, (Range{1, 3}));  // queries 3-5 read heads 1, 2, 2
  const ParameterTable table = table_of(small(6, 3), 2, 1);
  const ParameterSpec& keys = *table.find("language.layers.0.self_attn.k_proj.bias");
  EXPECT_EQ(keys.cuts, (std::vector<Range>{{0, 16}, {8, 24}}));
  EXPECT_TRUE(keys.overlapping());
}

TEST(Table, ATiedEmbeddingHasTwoHolders) {
  const ParameterTable tied = table_of(small(4, 2, true), 2, 3);
  EXPECT_EQ(tied.find("language.lm_head.weight"), nullptr);
  EXPECT_EQ(tied.find("language.embed_tokens.weight")->pipeline_stages, (std::vector<int>{0, 2}));
  EXPECT_EQ(table_of(small(4, 2, true), 2, 1).find("language.embed_tokens.weight")->pipeline_stages,
            std::vector<int>{0});
  const ParameterTable untied = table_of(small(4, 2), 2, 3);
  EXPECT_EQ(untied.find("language.embed_tokens.weight")->pipeline_stages, std::vector<int>{0});
  EXPECT_EQ(untied.find("language.lm_head.weight")->pipeline_stages, std::vector<int>{2});
  EXPECT_EQ(untied.find("vision.post_layernorm.bias")->pipeline_stages, std::vector<int>{0});
}

TEST(Table, AShortTowerLeavesTensorRanksWithoutHeads) {
  const ParameterTable table = table_of(small(4, 2), 4, 1);
  EXPECT_EQ(table.find("vision.encoder.layers.0.self_attn.q_proj.weight")->cuts.back(), (Range{12, 12}));
}

TEST(Table, RefusesMoreTensorRanksThanHeads) {
  try {
    table_of(small(4, 2), 5, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::mesh_invalid);
  }
  EXPECT_THROW(table_of(small(4, 2), 1, 8), Error);
}

TEST(Table, TheVisionTowerCountsForTheFirstPipelineStage) {
  const LmmConfig config = qwen2_7b();
  const auto with_images = partition_for(config, 4, {.tiles = 10, .text_tokens = 100, .answers = 10});
  const auto without = partition_for(config, 4, {.tiles = 0, .text_tokens = 7390, .answers = 10});
  EXPECT_LT(with_images.layers.front().size(), without.layers.front().size());
  EXPECT_EQ(without.layers.front().size(), 7);
}

}  // namespace
}  // namespace retain::models
