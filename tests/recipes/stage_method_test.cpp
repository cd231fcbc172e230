// SPDX-License-Identifier: Apache-2.0
// Whose parameters a stage holds, also when gc has removed stages it comes from.
#include "recipes/methods/stage_method.h"

#include <gtest/gtest.h>

#include "framework/store/blend.h"
#include "framework/store/gc.h"
#include "framework/store/merge.h"
#include "recipes/methods/lora.h"
#include "tests/framework/store_support.h"

namespace retain::recipes {
namespace {

namespace fs = std::filesystem;
using framework::DType;
using framework::ErrorKind;
using framework::RefKind;
using framework::testing::kind_of;
using framework::testing::Model;

const std::string kUp = "language.layers.0.mlp.up_proj.weight";
const std::string kDown = lora_a_of(kUp);

parallel::ParameterTable model_table() {
  parallel::ParameterSpec row;
  row.name = kUp;
  row.shape = {4, 6};
  row.pipeline_stages = {0};
  return parallel::ParameterTable({row});
}

/// A base, and two stages of one LoRA recipe taught from it one after another.
struct StageMethodTest : ::testing::Test {
  tests::Scratch folder;
  framework::Store store = framework::Store::open_or_create(folder.path() / "store");
  framework::StoreLock lock{store, "test"};
  std::string base = weights(kUp, 1).commit(store, lock, {});
  std::string first = taught(base, 2, 3);
  std::string second = taught(first, 3, 3);

  static Model weights(const std::string& name, std::uint64_t seed) {
    Model model;
    model.add("tensors/" + name, DType::float32, {4, 6}, seed);
    return model;
  }

  std::string taught(const std::string& parent, std::uint64_t seed, int rank) const {
    std::string keys = "merge = false\nrank = ";
    keys += std::to_string(rank);
    const auto file = framework::ConfigFile::parse(keys, "test");
    const std::vector<TrainableGroup> groups{{{"mlp"}, 0}};
    const auto settings = file.root();
    const auto method = MethodRegistry().make("lora", {settings, groups});
    return weights(kDown, seed).commit(store, lock, {parent}, {{"method", method->describe()}, {"recipe", groups_json(groups)}});
  }

  /// The rank of the LoRA whose adapters the stage holds.
  std::int64_t rank_in(const std::string& id) const {
    const framework::StageReader reader(store, id);
    const auto method = method_in(store, reader, model_table(), {});
    const auto* lora = dynamic_cast<const Lora*>(method.get());
    return lora ? lora->settings().rank : 0;
  }
  /// The message of the error that looking for the method ends with.
  std::string refusal_of(const std::string& id, ErrorKind kind) const {
    try {
      rank_in(id);
    } catch (const framework::Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "a method was found";
    return {};
  }
  void keep(const std::string& id, const std::string& name) const { move_ref(store, lock, RefKind::branch, name, id, "test"); }
  /// Leaves branch heads, and the base.
  void thin_out() const { collect_garbage(store, lock, {.dry_run = false, .keep_undo = false, .rules = {.last = 1}}); }
};

TEST_F(StageMethodTest, ATaughtStageNeedsNoOther) {
  EXPECT_EQ(rank_in(base), 0);
  EXPECT_EQ(rank_in(second), 3);
  keep(second, "main");
  thin_out();
  ASSERT_FALSE(store.has_stage(first));
  EXPECT_EQ(rank_in(second), 3);
}

TEST_F(StageMethodTest, ABlendOrMergeWithoutARecordIsTracedThroughAllParents) {
  const std::string other = taught(base, 4, 3);
  keep(commit_blend(store, lock, first, other, 0.5), "blend");
  keep(commit_merge(store, lock, first, {second, other}, {}), "merge");
  keep(other, "other");
  thin_out();
  ASSERT_FALSE(store.has_stage(first));
  for (const char* name : {"blend", "merge"}) EXPECT_EQ(rank_in(store.resolve(name)), 3) << name << ": the last parent is there";
}

TEST_F(StageMethodTest, AChainGoesOnBeyondWhatGcRemoved) {
  const std::string blend = commit_blend(store, lock, second, taught(first, 4, 3), 0.5);
  keep(commit_blend(store, lock, blend, taught(second, 5, 3), 0.25), "main");
  keep(first, "kept");
  thin_out();
  ASSERT_EQ(store.stage_ids().size(), 3U) << "the base, its first stage and the blend of blends";
  EXPECT_EQ(rank_in(store.resolve("main")), 3);
}

TEST_F(StageMethodTest, ABlendCarriesHowItsStagesWereTaught) {
  const std::string blend = commit_blend(store, lock, first, second, 0.5, carried_teaching(store, {first, second}));
  EXPECT_EQ(commit_blend(store, lock, first, second, 0.5), blend) << "the record does not enter the id";
  keep(commit_merge(store, lock, blend, {first}, {}, carried_teaching(store, {blend, first})), "merge");
  keep(blend, "blend");
  thin_out();
  ASSERT_EQ(store.stage_ids().size(), 3U) << "the base, the blend and the merge";
  for (const char* name : {"blend", "merge"}) EXPECT_EQ(rank_in(store.resolve(name)), 3) << name;
  EXPECT_TRUE(carried_teaching(store, {base}).empty());
}

TEST_F(StageMethodTest, WhatIsGoneIsNamed) {
  const std::string blend = commit_blend(store, lock, first, second, 0.5);
  keep(blend, "main");
  thin_out();
  ASSERT_EQ(store.stage_ids().size(), 2U);
  const std::string removed = refusal_of(blend, ErrorKind::store_unknown_stage);
  for (const std::string& stage : {first, second})
    EXPECT_NE(removed.find("stage " + stage + ", which gc removed"), std::string::npos) << removed;
  fs::remove(store.root() / "log" / "pruned.jsonl");  // as a store thinned out before there was this log
  const std::string lost = refusal_of(blend, ErrorKind::store_unknown_stage);
  EXPECT_NE(lost.find("stage " + first + ", which is not in the store"), std::string::npos) << lost;
  EXPECT_EQ(lost.find("gc"), std::string::npos) << lost;
  const std::string stranger = weights("somebody.weight", 9).commit(store, lock, {base});
  EXPECT_NE(refusal_of(stranger, ErrorKind::store_invalid).find(stranger), std::string::npos);
}

}  // namespace
}  // namespace retain::recipes
