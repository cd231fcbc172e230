// SPDX-License-Identifier: Apache-2.0
// Task arithmetic and TIES against PEFT's and numpy's (tests/reference/merge_cases.py), DARE by what defines it, and misfits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "framework/base/json.h"
#include "framework/store/merge.h"
#include "tests/framework/store_support.h"

namespace retain::framework {
namespace {

using ::testing::ElementsAre;
using testing::kind_of;
using testing::Model;

const std::string kName = "language.layers.0.mlp.up_proj.weight";

Model model_of(const std::vector<float>& values, std::vector<std::int64_t> shape) {
  Model model;
  model.add("tensors/" + kName, DType::float32, std::move(shape), 1);
  std::memcpy(model.bytes["tensors/" + kName].data(), values.data(), 4 * values.size());
  return model;
}

std::vector<float> floats_of(const TensorSource& source, const std::string& name) {
  const std::vector<std::byte> bytes = source.read_all(name);
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

class MergeTest : public ::testing::Test {
 protected:
  tests::Scratch scratch;
  Store store = Store::open_or_create(scratch.path() / "store");
  StoreLock lock{store, "test"};
};

TEST_F(MergeTest, EqualsTheReferences) {
  const json::value document = read_json(std::filesystem::path(RETAIN_FIXTURES) / "merge/cases.json");
  const auto shape = json::value_to<std::vector<std::int64_t>>(document.at("shape"));
  const std::string base = model_of(json::value_to<std::vector<float>>(document.at("base")), shape).commit(store, lock, {});
  std::vector<std::string> models;
  for (const json::value& values : document.at("models").as_array())
    models.push_back(model_of(json::value_to<std::vector<float>>(values), shape).commit(store, lock, {base}));
  for (const json::value& value : document.at("cases").as_array()) {
    MergeSettings settings;
    settings.kind = merge_kind_from_name(std::string(value.at("kind").as_string()));
    settings.weights = json::value_to<std::vector<double>>(value.at("weights"));
    settings.density = value.at("density").to_number<double>();
    settings.scale = value.at("scale").to_number<double>();
    settings.sign = value.at("sign").as_string() == "sum" ? SignRule::sum : SignRule::count;
    const StageReader merged(store, commit_merge(store, lock, base, models, settings));
    const auto found = floats_of(merged, kName);
    const auto expected = json::value_to<std::vector<float>>(value.at("result"));
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 1e-6) << json::serialize(value.at("kind")) << " density " << settings.density << " element " << i;
    EXPECT_EQ(merged.manifest().parents.size(), 4U);
  }
}

TEST_F(MergeTest, DareKeepsAShareAndDividesByIt) {
  std::vector<float> zeros(20000, 0.0F), ones(20000, 1.0F);
  const std::string base = model_of(zeros, {20000}).commit(store, lock, {});
  const std::string taught = model_of(ones, {20000}).commit(store, lock, {base});
  MergeSettings settings;
  settings.kind = MergeKind::dare;
  settings.density = 0.25;
  settings.seed = 9;
  const auto first = floats_of(StageReader(store, commit_merge(store, lock, base, {taught}, settings)), kName);
  std::int64_t kept = 0;
  for (const float value : first) {
    EXPECT_TRUE(value == 0.0F || value == 4.0F);
    kept += value != 0;
  }
  EXPECT_NEAR(static_cast<double>(kept) / 20000, 0.25, 0.015);
  EXPECT_EQ(floats_of(StageReader(store, commit_merge(store, lock, base, {taught}, settings)), kName), first);
  const MergeView view(std::make_shared<StageReader>(store, base), {std::make_shared<StageReader>(store, taught)}, settings);
  std::vector<float> middle(100);
  view.read(kName, 7777, std::as_writable_bytes(std::span(middle)));
  EXPECT_TRUE(std::equal(middle.begin(), middle.end(), first.begin() + 7777)) << "a read does not depend on where it begins";
  settings.seed = 10;
  EXPECT_NE(floats_of(StageReader(store, commit_merge(store, lock, base, {taught}, settings)), kName), first);
  settings.kind = MergeKind::dare_ties;
  const auto elected = floats_of(StageReader(store, commit_merge(store, lock, base, {taught, taught}, settings)), kName);
  for (const float value : elected) EXPECT_TRUE(value == 0.0F || value == 4.0F) << "the mean of those that agree";
}

TEST_F(MergeTest, ANegativeWeightTakesATaskAwayInEveryKind) {
  const std::string base = model_of({1, 1, 1, 1}, {4}).commit(store, lock, {});
  const std::string first = model_of({2, 0.5F, 1, 3}, {4}).commit(store, lock, {base});
  const std::string second = model_of({0, 1.5F, 2, 2}, {4}).commit(store, lock, {base});
  const auto merged = [&](MergeKind kind, const std::vector<std::string>& models, const std::vector<double>& weights) {
    MergeSettings settings;
    settings.kind = kind;
    settings.weights = weights;
    return floats_of(StageReader(store, commit_merge(store, lock, base, models, settings)), kName);
  };
  for (const MergeKind kind : {MergeKind::task_arithmetic, MergeKind::ties, MergeKind::dare, MergeKind::dare_ties})
    EXPECT_THAT(merged(kind, {first}, {-1}), ElementsAre(0, 1.5F, 1, -1)) << merge_kind_names()[static_cast<std::size_t>(kind)];
  for (const MergeKind kind : {MergeKind::ties, MergeKind::dare_ties}) {
    // changes 1, -0.5, 0, 2 and, taken away, 1, -0.5, -1, -1: a mean of those that agree, whatever the signs of their weights
    EXPECT_THAT(merged(kind, {first, second}, {1, -1}), ElementsAre(2, 0.5F, 0, 3));
    EXPECT_THAT(merged(kind, {first, second}, {1, -0.5}), ElementsAre(2, 0.5F, 0, 3));
  }
}

TEST_F(MergeTest, UnchangedTensorsAreLinksAndOneModelGivesItself) {
  Model origin = testing::base_model();
  const std::string base = origin.commit(store, lock, {});
  Model changed;
  changed.add("tensors/language.layers.0.mlp.up_proj.weight", DType::bfloat16, {96, 512}, 22);
  const std::string taught = changed.commit(store, lock, {base});
  const StageReader merged(store, commit_merge(store, lock, base, {taught}, {}));
  EXPECT_EQ(merged.read_all("language.layers.0.mlp.up_proj.weight"), StageReader(store, taught).read_all("language.layers.0.mlp.up_proj.weight"));
  EXPECT_EQ(merged.manifest().find("tensors/language.embed_tokens.weight")->holder, base);
}

TEST_F(MergeTest, MisfitsAreRefused) {
  const std::string base = model_of({1, 2}, {2}).commit(store, lock, {});
  const std::string taught = model_of({1, 3}, {2}).commit(store, lock, {base});
  const std::string other = model_of({1, 2, 3}, {3}).commit(store, lock, {});
  Model more;
  more.add("tensors/language.extra", DType::float32, {2}, 1);
  const std::string wider = more.commit(store, lock, {base});
  EXPECT_EQ(kind_of([&] { commit_merge(store, lock, base, {taught, other}, {}); }), ErrorKind::checkpoint_shape_mismatch);
  EXPECT_EQ(kind_of([&] { commit_merge(store, lock, base, {taught, wider}, {}); }), ErrorKind::checkpoint_missing_tensor);
  EXPECT_EQ(kind_of([&] { commit_merge(store, lock, base, {}, {}); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { commit_merge(store, lock, base, {taught}, {.weights = {1, 2}}); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { commit_merge(store, lock, base, {taught}, {.density = 0}); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { commit_merge(store, lock, base, {taught}, {.density = 1.5}); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { commit_merge(store, lock, base, {taught}, {.weights = {std::nan("")}}); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { merge_kind_from_name("soup"); }), ErrorKind::usage);
}

}  // namespace
}  // namespace retain::framework
