// SPDX-License-Identifier: Apache-2.0
// What each recipe selects: the paper's counts from a configuration alone, the oracle's counts, unions, refusals.
#include "recipes/training/trainable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/error.h"
#include "models/lmm/table.h"
#include "recipes/training/trainable_table.h"

namespace retain::recipes {
namespace {

using testing::HasSubstr;

models::LmmConfig qwen2_7b() {
  models::LmmConfig config;
  config.text.hidden = 3584;
  config.text.intermediate = 18944;
  config.text.layers = 28;
  config.text.heads = 28;
  config.text.kv_heads = 4;
  config.text.head_size = 128;
  config.text.vocabulary = 152064;
  config.vision.hidden = 1152;
  config.vision.intermediate = 4304;
  config.vision.layers = 26;
  config.vision.heads = 16;
  config.vision.image_size = 384;
  config.vision.patch_size = 14;
  return config;
}

parallel::ParameterTable table_of(const models::LmmConfig& config) {
  return models::build_table(config, 1, models::partition_for(config, 1), framework::DType::float32);
}

parallel::ParameterTable oracle_table() {
  return table_of(models::read_config(std::string(RETAIN_FIXTURES) + "/models/llava_onevision/hub"));
}

std::int64_t elements(const parallel::ParameterTable& table, const std::vector<std::string>& patterns) {
  std::int64_t total = 0;
  for (const Selected& one : select(table, {{patterns, 0}})) total += table.find(one.name)->elements();
  return total;
}

std::size_t tensors(const parallel::ParameterTable& table, const std::string& pattern) {
  return select(table, {{{pattern}, 0}}).size();
}

std::string refusal(const parallel::ParameterTable& table, const std::string& pattern) {
  try {
    select(table, {{{pattern}, 0}});
  } catch (const framework::Error& error) {
    EXPECT_EQ(error.kind(), framework::ErrorKind::recipe_matches_nothing);
    return error.what();
  }
  return "";
}

TEST(Trainable, CountsOfThePaperFromTheConfigurationAlone) {
  const parallel::ParameterTable table = table_of(qwen2_7b());
  EXPECT_EQ(elements(table, {"sa_proj"}), 822'212'608);
  EXPECT_EQ(elements(table, {"mlp_gate_up"}), 3'802'136'576);
  EXPECT_EQ(elements(table, {"mlp"}), 5'703'204'864);
  EXPECT_EQ(elements(table, {"mlp_gate_up", "mlp_down"}), 5'703'204'864);
  EXPECT_EQ(elements(table, {"sa_proj+mlp_gate_up"}), 822'212'608 + 3'802'136'576);
  EXPECT_EQ(elements(table, {"full"}), table.elements());
}

TEST(Trainable, TensorCountsOfTheOracle) {
  const parallel::ParameterTable table = oracle_table();
  const std::vector<std::pair<std::string, std::size_t>> expected = {
      {"sa_proj", 21}, {"sa_qkv", 18}, {"sa_vo", 9},    {"mlp", 9},         {"mlp_gate_up", 6},       {"mlp_down", 3},
      {"llm", 40},     {"vision", 53}, {"projector", 4}, {"vision_projector", 57}, {"full", 97}, {"layers:0-2", 36}};
  for (const auto& [pattern, count] : expected) EXPECT_EQ(tensors(table, pattern), count) << pattern;
}

TEST(Trainable, LlmHoldsNewlineEmbeddingsAndHeadButNoVision) {
  std::vector<std::string> names;
  for (const Selected& one : select(oracle_table(), {{{"llm"}, 0}})) names.push_back(one.name);
  EXPECT_THAT(names, testing::IsSupersetOf({"image_newline", "language.embed_tokens.weight", "language.lm_head.weight"}));
  EXPECT_THAT(names, testing::Not(testing::Contains(testing::StartsWith("vision."))));
  EXPECT_THAT(names, testing::Not(testing::Contains(testing::StartsWith("projector."))));
}

TEST(Trainable, PatternsUnionsAndGroups) {
  const parallel::ParameterTable table = oracle_table();
  EXPECT_EQ(tensors(table, "language.layers.1.self_attn.?_proj.bias"), 3U);
  EXPECT_EQ(tensors(table, "layers:1"), 12U);
  EXPECT_EQ(tensors(table, "sa_proj + mlp_gate_up"), 27U);
  EXPECT_EQ(select(table, {{{"sa_proj", "mlp_gate_up"}, 0}}).size(), 27U);
  const auto selected = select(table, {{{"vision"}, 2e-6}, {{"full"}, 5e-6}});
  EXPECT_EQ(selected.size(), 97U);
  for (const Selected& one : selected) EXPECT_EQ(one.group, one.name.starts_with("vision.") ? 0U : 1U) << one.name;
}

TEST(Trainable, LayerRangesAreFrozenByAPatternWithAMark) {
  const parallel::ParameterTable table = table_of(qwen2_7b());
  const std::int64_t gate = 28 * 18944LL * 3584;
  EXPECT_EQ(elements(table, {"language.layers.*.mlp.gate_proj.*"}), gate);
  EXPECT_EQ(elements(table, {"language.layers.*.mlp.up_proj.*"}), gate);
  EXPECT_EQ(elements(table, {"mlp_down"}), gate);
  EXPECT_EQ(elements(table, {"mlp", "!layers:0-23"}), 3 * gate / 7);
  EXPECT_EQ(elements(table, {"mlp", "!mlp_down"}), 2 * gate);
  EXPECT_EQ(elements(table, {"llm", "!layers:0-27"}), elements(table, {"llm"}) - elements(table, {"layers:0-27"}));
  EXPECT_EQ(elements(table, {"sa_proj+mlp_gate_up", "!layers:0+layers:27"}), (elements(table, {"sa_proj"}) + 2 * gate) / 28 * 26);
  const auto groups = select(table, {{{"mlp", "!layers:3"}, 0}, {{"layers:3-4"}, 1e-4}});
  for (const Selected& one : groups) EXPECT_EQ(one.name.find("language.layers.3."), std::string::npos) << "frozen in every group";
  EXPECT_THAT(refusal(table, "!layers:0-99"), HasSubstr("layers"));
  EXPECT_THROW(select(table, {{{"mlp", "!mlp"}, 0}}), framework::Error);
}

TEST(Trainable, SelectsInTableOrderEachNameOnce) {
  const parallel::ParameterTable table = oracle_table();
  std::size_t row = 0;
  for (const Selected& one : select(table, {{{"mlp", "sa_proj", "mlp"}, 0}})) {
    while (row < table.rows().size() && table.rows()[row].name != one.name) ++row;
    ASSERT_LT(row++, table.rows().size()) << one.name;
  }
}

TEST(Trainable, AnEmptyMatchIsRefusedWithTheNearestName) {
  const parallel::ParameterTable table = oracle_table();
  EXPECT_THAT(refusal(table, "sa_prj"), HasSubstr("did you mean \"sa_proj\""));
  EXPECT_THAT(refusal(table, "sa_proj+mlp_gateup"), HasSubstr("did you mean \"mlp_gate_up\""));
  EXPECT_THAT(refusal(table, "language.layers.*.mlp.gate_prj.weight"), HasSubstr("language.layers.*.mlp.gate_proj.weight"));
  EXPECT_THAT(refusal(table, "layers:2-3"), HasSubstr("b < 3"));
  EXPECT_THAT(refusal(table, "layers:2-1"), HasSubstr("layers:2-1"));
  EXPECT_THAT(refusal(table, "layers:x"), HasSubstr("layers:x"));
  EXPECT_NE(refusal(table, ""), "");
  EXPECT_NE(refusal(table, "self_attn"), "") << "substrings are not patterns";
}

TEST(TrainableTable, BytesPerRankOfThePapersModel) {
  const models::LmmConfig config = qwen2_7b();
  const auto table = models::build_table(config, 1, models::partition_for(config, 1), framework::DType::bfloat16);
  const auto selected = select(table, {{{"sa_proj"}, 0}});
  TrainSettings settings;
  RankBytes bytes = rank_bytes(table, selected, settings, {2, 1, 1}, 0, 0);
  EXPECT_EQ(bytes.trained_elements, 822'212'608);
  EXPECT_EQ(bytes.weights, 2 * table.elements());
  EXPECT_EQ(bytes.gradients, 4 * bytes.trained_elements);
  EXPECT_EQ(bytes.optimizer, 12 * bytes.trained_elements);
  settings.zero = true;
  EXPECT_EQ(rank_bytes(table, selected, settings, {2, 1, 1}, 0, 0).optimizer, 6 * bytes.trained_elements);
  settings.zero = settings.master_weights = false;
  settings.moments = framework::DType::bfloat16;
  bytes = rank_bytes(table, selected, settings, {2, 1, 1}, 0, 0);
  EXPECT_EQ(bytes.gradients + bytes.optimizer, 6 * bytes.trained_elements);
}

TEST(TrainableTable, BackwardWorkStopsAtTheLowestTrainedParameter) {
  const models::LmmConfig config = qwen2_7b();
  const auto table = table_of(config);
  const auto share = [&](const std::string& recipe) {
    const BackwardWork work = backward_work(config, table, select(table, {{{recipe}, 0}}));
    return work.as_selected / work.everything_trained;
  };
  EXPECT_DOUBLE_EQ(share("full"), 1);
  EXPECT_LT(share("layers:27"), 0.1);
  EXPECT_LT(share("sa_proj"), share("mlp_gate_up"));
  EXPECT_LT(share("mlp_gate_up"), share("llm"));
  EXPECT_GT(share("vision"), 0.4) << "the gradient passes through the whole decoder";
}

TEST(TrainableTable, PrintsKindsCountsAndTotals) {
  const models::LmmConfig config = qwen2_7b();
  const auto table = table_of(config);
  const std::vector<TrainableGroup> groups = {{{"sa_proj"}, 0}, {{"vision"}, 2e-6}};
  const std::string text = trainable_table(config, table, select(table, groups), groups, {}, {1, 1, 1});
  EXPECT_THAT(text, HasSubstr("language.layers.*.self_attn.q_proj.weight"));
  EXPECT_THAT(text, HasSubstr("2e-06"));
  EXPECT_THAT(text, HasSubstr("pipeline stage 0"));
  EXPECT_THAT(text, testing::Not(HasSubstr("layers.0")));
}

TEST(Trainable, EveryNamedRecipeHasADescription) {
  for (const std::string& name : recipe_names()) EXPECT_FALSE(recipe_description(name).empty()) << name;
}

}  // namespace
}  // namespace retain::recipes
