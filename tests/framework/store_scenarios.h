// SPDX-License-Identifier: Apache-2.0
// What is done to a store in the tests of faults: a small prepared store, commands that change it, and what must hold
// whenever one of them was stopped.
#pragma once
#include <functional>

#include "framework/store/blend.h"
#include "framework/store/gc.h"
#include "framework/store/progress.h"
#include "framework/store/results.h"
#include "framework/store/verify.h"
#include "tests/framework/store_support.h"

namespace retain::framework::testing {

inline const std::string kUp = "tensors/language.layers.0.mlp.up_proj.weight";
inline const std::string kBias = "tensors/language.layers.0.self_attn.q_proj.bias";

inline Model base() {
  Model model;
  model.add(kUp, DType::bfloat16, {240, 160}, 2);  // large enough for direct writing
  model.add(kBias, DType::float32, {7}, 3);
  return model;
}

inline Model tuned(std::uint64_t seed) {
  Model model;
  model.add(kUp, DType::bfloat16, {240, 160}, seed);
  return model;
}

/// What one test does to a store that has a base and one stage on branch "main"; it may be repeated after a stop.
using Scenario = std::function<void(const Store&, const StoreLock&)>;

inline void put_checkpoint(const Store& store, const StoreLock& lock, std::int64_t step) {
  StageDraft draft;
  draft.inputs = {{"step", step}};
  draft.arrays = {{"optimizer/exp_avg/x", DType::float32, {16}}};
  ProgressCommit commit(store, lock, "run", step, draft);
  ExtentWriter writer(store.operations(), store.root(), commit.layout());
  const auto digests = writer.write(0, 0, std::vector<std::byte>(64, static_cast<std::byte>(step)));
  writer.finish();
  commit.publish({digests}, 1);
}

inline const std::vector<std::pair<std::string, Scenario>>& scenarios() {
  static const std::vector<std::pair<std::string, Scenario>> list{
      {"commit",
       [](const Store& store, const StoreLock& lock) {
         const std::string parent = StageReader(store, store.resolve("start")).id();
         const std::string id = tuned(20).commit(store, lock, {parent}, {{"step", 2}});
         move_ref(store, lock, RefKind::branch, "main", id, "commit");
       }},
      {"blend",
       [](const Store& store, const StoreLock& lock) {
         const std::string id = commit_blend(store, lock, store.resolve("start~"), store.resolve("start"), 0.5);
         move_ref(store, lock, RefKind::branch, "main", id, "blend");
       }},
      {"rollback",
       [](const Store& store, const StoreLock& lock) {
         move_ref(store, lock, RefKind::branch, "main", store.resolve("start~"), "rollback");
       }},
      {"gc",
       [](const Store& store, const StoreLock& lock) {
         collect_garbage(store, lock, {false, true});
       }},
      {"progress",
       [](const Store& store, const StoreLock& lock) {
         put_checkpoint(store, lock, 1);
         put_checkpoint(store, lock, 2);
       }},
      {"result",
       [](const Store& store, const StoreLock& lock) {
         put_result(store, lock, "score", {{"value", 1}});
       }},
      {"thin",
       [](const Store& store, const StoreLock& lock) {
         collect_garbage(store, lock, {.dry_run = false, .keep_undo = true, .rules = {.last = 1}});
       }},
  };
  return list;
}

/// Two stages no ref leads to, one of which holds what the other links to and comes before it by its id.
inline void commit_strays(const Store& store, const StoreLock& lock, const std::string& parent) {
  const std::string lender = tuned(77).commit(store, lock, {parent}, {{"stray", true}});
  Model bias;
  bias.add(kBias, DType::float32, {7}, 78);
  for (int attempt = 0;; ++attempt) {
    const std::string borrower = bias.commit(store, lock, {lender}, {{"attempt", attempt}});
    if (lender < borrower) return;
    std::filesystem::remove(store.stage_path(borrower));
  }
}

inline void prepare(const std::filesystem::path& root) {
  const Store store = Store::open_or_create(root);
  const StoreLock lock(store, "prepare");
  const std::string first = base().commit(store, lock, {});
  const std::string second = tuned(10).commit(store, lock, {first}, {{"step", 1}});
  commit_strays(store, lock, first);
  const std::string passed = tuned(30).commit(store, lock, {first}, {{"step", 1}});
  move_ref(store, lock, RefKind::branch, "long", tuned(31).commit(store, lock, {passed}, {{"step", 2}}), "prepare");
  move_ref(store, lock, RefKind::branch, "main", second, "prepare");
  move_ref(store, lock, RefKind::tag, "start", second, "prepare");
  put_checkpoint(store, lock, 0);
}

/// What must hold at any time: all digests match, the tagged stage and its parent read back whole, the newest
/// checkpoint is one of those written, and the branch leads to a stage.
inline void expect_intact(const Store& store, const std::string& when) {
  const VerifyReport report = verify(store);
  EXPECT_TRUE(report.clean()) << when << ": " << report.problems.front();
  const StageReader start(store, store.resolve("start"));
  EXPECT_EQ(start.read_all(kUp.substr(8)), tuned(10).bytes.at(kUp)) << when;
  EXPECT_EQ(start.read_all(kBias.substr(8)), base().bytes.at(kBias)) << when;
  EXPECT_NO_THROW(StageReader(store, store.resolve("main"))) << when;
  const LatestProgress progress = latest_progress(store, "run");
  EXPECT_TRUE(progress.step && progress.passed.damaged.empty()) << when << ": a checkpoint was lost";
}

inline std::string contents(const Store& store) {
  std::string text = store.resolve("main") + " ";
  for (const std::string& id : store.stage_ids()) text += id + " ";
  for (const std::int64_t step : progress_steps(store, "run")) text += std::to_string(step) + " ";
  for (const std::string& key : result_keys(store)) text += key + " ";
  return text;
}

inline void copy_store(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

}  // namespace retain::framework::testing
