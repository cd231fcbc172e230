// SPDX-License-Identifier: Apache-2.0
// Two-expert MLPs against the formula written out: the dense blend of training, the one MLP of evaluation, where both begin.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/base/error.h"
#include "framework/config/toml.h"
#include "parallel/comm/self_communicator.h"
#include "parallel/extension.h"
#include "recipes/methods/moe.h"
#include "tests/recipes/tiny_lmm.h"

namespace retain::recipes {
namespace {

constexpr std::int64_t kHidden = 32, kWidth = 44;  // of the tiny model

std::shared_ptr<const Moe> moe_of(const std::string& keys = "", const std::string& patterns = "mlp") {
  const framework::ConfigFile file = framework::ConfigFile::parse(keys, "test");
  const framework::ConfigTable root = file.root();
  auto method = std::make_shared<Moe>(MethodSetup{root, {{{patterns}, 0}}});
  root.reject_unknown();
  return method;
}

struct MoeTest : ::testing::Test {
  parallel::Mesh mesh{std::shared_ptr<parallel::Communicator>(parallel::make_self_communicator("world", 0)), {1, 1, 1}};
  models::LmmConfig config = testing::tiny_config();
  std::shared_ptr<const Moe> method = moe_of();
  std::unique_ptr<models::Lmm> model = testing::tiny_model(config, mesh, testing::tiny_weights(config), false, framework::DType::float32,
                                                           {method.get(), 5, "test"});

  at::Tensor weight(const std::string& name) { return model->parameters().at("language.layers.2.mlp." + name); }
  at::Tensor mlp(const at::Tensor& x_TH, const std::string& where) {
    const at::Tensor gated = at::silu(at::linear(x_TH, weight(where + "gate_proj.weight"))) * at::linear(x_TH, weight(where + "up_proj.weight"));
    return at::linear(gated, weight(where + "down_proj.weight"));
  }
  at::Tensor computed(const at::Tensor& x_TH) {
    const auto replaced = model->parameters().extension()->instead_of_mlp(model->parameters(), "language.layers.2.mlp", mesh.tensor(),
                                                                          [&](const at::Tensor& x) { return mlp(x, ""); });
    return replaced(x_TH);
  }
};

TEST_F(MoeTest, TheExpertBeginsAsTheOriginalAndTheRouterNearZero) {
  for (const char* name : {"gate_proj.weight", "up_proj.weight", "down_proj.weight"})
    EXPECT_TRUE(at::equal(weight(name), weight(std::string("expert.") + name))) << name;
  EXPECT_EQ(weight("router.weight").sizes(), (at::IntArrayRef{2, kHidden}));
  EXPECT_NEAR(weight("router.weight").std().item<double>(), 0.02, 0.008);
  EXPECT_EQ(weight("router.bias").abs().max().item<float>(), 0.0F);
  EXPECT_EQ(weight("gate_proj.weight").size(0), kWidth);
}

TEST_F(MoeTest, ReadingsAreTheFormulas) {
  const at::NoGradGuard no_gradient;
  weight("expert.up_proj.weight").mul_(-1.5);
  weight("router.weight").copy_(at::randn({2, kHidden}));
  const at::Tensor x_TH = at::randn({40, kHidden});
  const at::Tensor scores = at::linear(x_TH, weight("router.weight"), weight("router.bias"));
  const at::Tensor shares = scores.softmax(1), original = mlp(x_TH, ""), expert = mlp(x_TH, "expert.");
  method->read_as(*model, "blend");
  const at::Tensor blended = shares.select(1, 0).unsqueeze(1) * original + shares.select(1, 1).unsqueeze(1) * expert;
  EXPECT_LT((computed(x_TH) - blended).abs().max().item<double>(), 1e-5);
  method->read_as(*model, "top1");
  const at::Tensor likelier = at::where((scores.argmax(1) == 1).unsqueeze(1), expert, original);
  EXPECT_LT((computed(x_TH) - likelier).abs().max().item<double>(), 1e-5);
  EXPECT_GT((blended - likelier).abs().max().item<double>(), 1e-3);
  EXPECT_EQ(method->readings(), (std::vector<std::string>{"top1", "blend"}));
}

TEST_F(MoeTest, OnlyExpertsAndRoutersTrain) {
  const auto selected = method->select(model->table());
  EXPECT_EQ(selected.size(), static_cast<std::size_t>(5 * config.text.layers));
  for (const Selected& one : selected)
    EXPECT_TRUE(one.name.find(".mlp.expert.") != std::string::npos || one.name.find(".mlp.router.") != std::string::npos) << one.name;
  EXPECT_EQ(moe_of("", "layers:1")->groups().front().patterns.front(), "layers:1");
  EXPECT_THROW(moe_of("", "layers:1")->select(model->table()), framework::Error) << "attention has no experts";
  EXPECT_THROW(moe_of("router_deviation = -1.0"), framework::Error);
  EXPECT_THROW(moe_of("experts = 4"), framework::Error);
}

}  // namespace
}  // namespace retain::recipes
