// SPDX-License-Identifier: Apache-2.0
// Plans from a configuration alone: bytes that can be counted by hand, and what must grow or shrink with what.
#include "recipes/planning/plan.h"

#include <gtest/gtest.h>

#include <fstream>

#include "framework/config/toml.h"
#include "models/lmm/table.h"

namespace retain::recipes {
namespace {

namespace fs = std::filesystem;

/// LLaVA-OneVision-7B's shape, as its published config.json has it.
constexpr const char* kSevenB = R"({"architectures":["LlavaOnevisionForConditionalGeneration"],"image_token_index":151646,
  "torch_dtype":"bfloat16","vision_aspect_ratio":"anyres_max_9",
  "text_config":{"model_type":"qwen2","hidden_size":3584,"intermediate_size":18944,"num_hidden_layers":28,
    "num_attention_heads":28,"num_key_value_heads":4,"vocab_size":152000,"rope_theta":1000000.0},
  "vision_config":{"model_type":"siglip_vision_model","hidden_size":1152,"image_size":384,"intermediate_size":4304,
    "num_attention_heads":16,"num_hidden_layers":26,"patch_size":14}})";

class Planning : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / "plan";
    fs::create_directories(folder_);
    std::ofstream(folder_ / "config.json") << kSevenB;
    experiment_.model = folder_;
    experiment_.dtype = framework::DType::bfloat16;
    experiment_.recipes = {{"sa_proj", {{{"sa_proj"}, 0}}}, {"llm", {{{"llm"}, 0}}}};
    request_.assumed.mean = request_.assumed.largest = {2048, 64, 3645, 1920};
    request_.ranks = 8;
  }
  void TearDown() override { fs::remove_all(folder_); }

  static const LayoutPlan& at(const RecipePlan& recipe, parallel::MeshShape shape) {
    for (const LayoutPlan& layout : recipe.layouts)
      if (layout.shape == shape) return layout;
    throw std::logic_error("no such mesh");
  }
  static const RankMemory& fullest(const LayoutPlan& layout) { return layout.ranks.at(layout.fullest); }

  fs::path folder_;
  Experiment experiment_;
  PlanRequest request_;
};

TEST_F(Planning, ListsEveryMeshOfTheRanks) {
  const Plan plan = make_plan(experiment_, request_);
  ASSERT_EQ(plan.recipes.size(), 2U);
  EXPECT_EQ(plan.recipes[0].layouts.size(), 10U);  // ordered factorisations of 8 into three
  for (const LayoutPlan& layout : plan.recipes[0].layouts) EXPECT_EQ(layout.shape.ranks(), 8);
}

TEST_F(Planning, StateOfTheAttentionProjectionsIsCountedExactly) {
  const RankMemory rank = fullest(at(make_plan(experiment_, request_).recipes[0], {8, 1, 1}));
  // q and o: 3584² each; k and v: 512 · 3584 each; biases of q, k, v: 3584 + 2 · 512; 28 layers.
  const std::int64_t trained = 28 * (2 * 3584LL * 3584 + 2 * 512LL * 3584 + 3584 + 1024);
  EXPECT_EQ(rank.state.trained_elements, trained);
  EXPECT_EQ(rank.state.gradients, 4 * trained);
  EXPECT_EQ(rank.state.optimizer, 12 * trained);
}

TEST_F(Planning, ProductsThatBatchesOfManyLengthsLeaveAreCounted) {
  const std::int64_t many = fullest(at(make_plan(experiment_, request_).recipes[0], {8, 1, 1})).heap;
  request_.assumed.of_one_length = true;
  EXPECT_EQ(fullest(at(make_plan(experiment_, request_).recipes[0], {8, 1, 1})).heap, many - (std::int64_t{64} << 20));
}

TEST_F(Planning, ARunKeepsFeaturesForItsOtherRecipes) {
  experiment_.feature_memory = std::int64_t{1} << 30;
  experiment_.recipes.push_back({"vision", {{{"vision"}, 0}}});
  EXPECT_EQ(fullest(at(make_plan(experiment_, request_).recipes[2], {8, 1, 1})).features, std::int64_t{1} << 30);
  experiment_.recipes.erase(experiment_.recipes.begin(), experiment_.recipes.begin() + 2);
  EXPECT_EQ(fullest(at(make_plan(experiment_, request_).recipes[0], {8, 1, 1})).features, 0);
}

TEST_F(Planning, ARankNeedsLessOfALargerMesh) {
  const Plan plan = make_plan(experiment_, request_);
  const std::int64_t alone = fullest(at(plan.recipes[1], {8, 1, 1})).total();
  EXPECT_LT(fullest(at(plan.recipes[1], {4, 1, 2})).total(), alone);
  EXPECT_LT(fullest(at(plan.recipes[1], {4, 2, 1})).total(), alone);
}

TEST_F(Planning, WhatIsFrozenIsNotSaved) {
  const Plan plan = make_plan(experiment_, request_);
  EXPECT_LT(fullest(at(plan.recipes[0], {8, 1, 1})).activations, fullest(at(plan.recipes[1], {8, 1, 1})).activations);
  experiment_.recipes = {{"last", {{{"layers:27"}, 0}}}};
  const RankMemory last = fullest(at(make_plan(experiment_, request_).recipes[0], {8, 1, 1}));
  EXPECT_LT(last.activations, fullest(at(plan.recipes[0], {8, 1, 1})).activations / 10);
}

TEST_F(Planning, RecomputationAndZeroSaveWhatTheySay) {
  const RankMemory before = fullest(at(make_plan(experiment_, request_).recipes[1], {8, 1, 1}));
  experiment_.train.recompute = experiment_.train.zero = true;
  const RankMemory after = fullest(at(make_plan(experiment_, request_).recipes[1], {8, 1, 1}));
  EXPECT_LT(after.activations, before.activations / 4);
  EXPECT_LE(after.state.optimizer, before.state.optimizer / 8 + 1000);
}

TEST_F(Planning, ChoosesTheQuickestThatFitsOrNone) {
  request_.memory = std::int64_t{40} << 30;
  request_.flops = 4e14;
  const Plan plan = make_plan(experiment_, request_);
  for (const RecipePlan& recipe : plan.recipes) {
    ASSERT_TRUE(recipe.chosen);
    const LayoutPlan& chosen = recipe.layouts[*recipe.chosen];
    for (const LayoutPlan& layout : recipe.layouts) {
      if (layout.fits) {
        EXPECT_LE(*chosen.seconds, *layout.seconds);
      }
      EXPECT_EQ(layout.fits, layout.obstacle.empty() && fullest(layout).total() <= request_.memory);
    }
  }
  request_.memory = 1 << 30;
  EXPECT_FALSE(make_plan(experiment_, request_).recipes[1].chosen);
}

TEST_F(Planning, WhatMethodsHoldIsCountedExactly) {
  const auto taught = [](const std::string& method, const std::string& settings) {
    const framework::ConfigFile file = framework::ConfigFile::parse(settings, "test");
    const framework::ConfigTable root = file.root();
    const std::vector<TrainableGroup> groups = {{{"mlp"}, 0}};
    return Recipe{method, groups, method.empty() ? nullptr : MethodRegistry().make(method, {root, groups})};
  };
  experiment_.recipes = {taught("", ""), taught("lwf", ""), taught("l2", "lambda = 1.0"), taught("lora", "rank = 256"), taught("moe", "")};
  const Plan plan = make_plan(experiment_, request_);
  const auto state = [&](std::size_t recipe) { return fullest(at(plan.recipes[recipe], {8, 1, 1})).state; };
  constexpr std::int64_t mlp = 5'703'204'864, adapters = 28 * 3 * 256 * (3584LL + 18944), routers = 28 * (2 * 3584 + 2);
  EXPECT_EQ(state(0).trained_elements, mlp);
  EXPECT_EQ(state(1).weights, state(0).weights + 2 * mlp);  // the teacher's own copy of what is trained, bfloat16
  EXPECT_EQ(state(2).weights, state(0).weights + 2 * mlp);
  EXPECT_EQ(state(3).trained_elements, adapters);
  EXPECT_EQ(state(3).weights, state(0).weights + 2 * adapters);
  EXPECT_EQ(state(3).optimizer, 12 * adapters);
  EXPECT_EQ(state(4).trained_elements, mlp + routers);
  EXPECT_EQ(state(4).weights, state(0).weights + 2 * (mlp + routers));
}

TEST_F(Planning, SaysWhyAMeshIsImpossible) {
  request_.ranks = 29;
  const LayoutPlan layout = at(make_plan(experiment_, request_).recipes[0], {1, 1, 29});
  EXPECT_FALSE(layout.fits);
  EXPECT_NE(layout.obstacle.find("heads"), std::string::npos);
}

}  // namespace
}  // namespace retain::recipes
