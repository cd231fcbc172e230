// SPDX-License-Identifier: Apache-2.0
// Repair from another copy, and thinning out of branches.
#include <algorithm>
#include <fstream>

#include "framework/store/gc.h"
#include "framework/store/history.h"
#include "framework/store/progress.h"
#include "framework/store/repair.h"
#include "framework/store/results.h"
#include "framework/store/stage_memo.h"
#include "framework/store/verify.h"
#include "tests/framework/store_support.h"

namespace retain::framework::testing {
namespace {

namespace fs = std::filesystem;
const std::string kBias = "tensors/language.layers.0.self_attn.q_proj.bias";

struct UpkeepTest : ::testing::Test {
  Scratch folder;
  Store store = Store::open_or_create(folder.path() / "store");
  StoreLock lock{store, "test"};
  std::string base = base_model().commit(store, lock, {}, {{"step", 0}});
  std::vector<std::string> stages;  ///< six stages in a line, each with a bias of its own

  void SetUp() override {
    std::string parent = base;
    for (std::uint64_t step = 1; step <= 6; ++step) {
      Model change;
      change.add(kBias, DType::float32, {7}, 100 + step);
      parent = change.commit(store, lock, {parent}, {{"step", step}});
      stages.push_back(parent);
    }
    move_ref(store, lock, RefKind::branch, "main", parent, "test");
  }

  Store copy_of_store() const {
    fs::create_directories(folder.path() / "copy");
    fs::copy(store.root(), folder.path() / "copy", fs::copy_options::recursive);
    return Store::open(folder.path() / "copy");
  }

  void flip_last_byte(const std::string& id, const Store& where) const {
    std::fstream file(where.stage_path(id), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-1, std::ios::end);
    const char last = static_cast<char>(file.get());
    file.seekp(-1, std::ios::end);
    file.put(static_cast<char>(last ^ 1));
  }

  /// What the rules leave, which they and a gc without rules then leave for good.
  std::vector<std::string> left(const RetentionRules& rules) {
    collect_garbage(store, lock, {false, true, rules});
    EXPECT_TRUE(verify(store).clean());
    const std::vector<std::string> first = store.stage_ids();
    for (const RetentionRules& again : {rules, RetentionRules{}}) {
      collect_garbage(store, lock, {.dry_run = false, .keep_undo = false, .rules = again});
      EXPECT_EQ(store.stage_ids(), first) << "collected again";
    }
    return first;
  }
  std::vector<std::string> sorted(std::vector<std::string> ids) const {
    ids.push_back(base);
    std::sort(ids.begin(), ids.end());
    return ids;
  }
};

TEST_F(UpkeepTest, DamagedAndMissingStagesComeBackFromACopy) {
  const Store copy = copy_of_store();
  flip_last_byte(stages[1], store);
  fs::remove(store.stage_path(stages[3]));
  fs::remove(store.stage_path(base));  // holds most tensors of every stage
  EXPECT_FALSE(verify(store).clean());
  const RepairReport report = repair(store, lock, copy);
  EXPECT_EQ(report.restored.size(), 2U + (store.has_stage(stages[3]) ? 1U : 0U));
  EXPECT_TRUE(report.irreparable.empty());
  EXPECT_TRUE(verify(store).clean());
  EXPECT_TRUE(repair(store, lock, copy).restored.empty()) << "nothing is left to do";
}

TEST_F(UpkeepTest, ADamagedCopyIsNotUsed) {
  const Store copy = copy_of_store();
  flip_last_byte(stages[2], store);
  flip_last_byte(stages[2], copy);
  const RepairReport report = repair(store, lock, copy);
  EXPECT_TRUE(report.restored.empty());
  EXPECT_EQ(report.irreparable, std::vector<std::string>{stages[2]});
}

TEST_F(UpkeepTest, RulesKeepTheNewestAndEachNth) {
  EXPECT_EQ(left({.last = 2}), sorted({stages[4], stages[5]}));
}

TEST_F(UpkeepTest, RulesAddUp) {
  move_ref(store, lock, RefKind::tag, "paper", stages[0], "test");
  EXPECT_EQ(left({.last = 1, .every = 3}), sorted({stages[0], stages[2], stages[5]}));
}

TEST_F(UpkeepTest, LinesGoOnBeyondWhatIsGone) {
  collect_garbage(store, lock, {false, true, {.last = 1, .every = 3}});
  const std::vector<std::string> here{stages[5], stages[2], base};
  EXPECT_EQ(ancestry(store, stages[5]), here);
  EXPECT_EQ(lineage(store, stages[5]).size(), 7U);
  EXPECT_EQ(store.resolve("main~3"), stages[2]);
  EXPECT_EQ(kind_of([&] { store.resolve("main~1"); }), ErrorKind::store_unknown_stage);
  EXPECT_EQ(ancestry(copy_of_store(), stages[5]), here) << "a copy knows what went";
  Model change;
  change.add(kBias, DType::float32, {7}, 107);
  const std::string seventh = change.commit(store, lock, {stages[5]}, {{"step", 7}});
  move_ref(store, lock, RefKind::branch, "main", seventh, "test");
  EXPECT_EQ(left({.last = 1, .every = 3}), sorted({stages[2], stages[5], seventh})) << "counted from the base as before";
}

TEST_F(UpkeepTest, AMemoRemembersWhatIsGoneAndWhatWasMadeInItsStead) {
  const auto stray = [&](std::int64_t number) { return base_model().commit(store, lock, {base}, {{"stray", number}}); };
  const auto thin_out = [&] { collect_garbage(store, lock, {false, true, {.last = 1}}); };
  put_made_stage(store, lock, "third", stages[2]);
  put_made_stage(store, lock, "stray", stray(1));
  EXPECT_EQ(kept_stage(store, "third"), stages[2]);
  EXPECT_EQ(kind_of([&] { put_made_stage(store, lock, "stray", stages[1]); }), ErrorKind::store_invalid);
  thin_out();
  EXPECT_FALSE(made_stage(store, "stray")) << "nothing that stays comes from it";
  put_made_stage(store, lock, "stray", stages[5]);
  EXPECT_EQ(kept_stage(store, "stray"), stages[5]);
  for (std::int64_t again = 2; again < 4; ++again) {  // what is made again may be collected again
    EXPECT_EQ(kept_stage(store, "third"), std::nullopt);
    const std::string instead = stray(again);
    put_made_stage(store, lock, "third", instead);
    EXPECT_EQ(kept_stage(store, "third"), instead);
    EXPECT_EQ(made_stage(store, "third")->id, stages[2]) << "what follows was made from the first";
    EXPECT_FALSE(made_stage(store, "third")->here);
    thin_out();
  }
}

TEST_F(UpkeepTest, ADamagedNoteStopsGc) {
  collect_garbage(store, lock, {false, true, {.last = 1, .every = 3}});
  const fs::path notes = store.root() / "log" / "pruned.jsonl";
  const std::string text = read_file(notes);
  std::ofstream(notes, std::ios::app) << "0123456789 {\"id\":";  // torn: a stop came before anything was removed
  EXPECT_TRUE(verify(store).clean());
  EXPECT_TRUE(collect_garbage(store, lock, {false, true, {.last = 1, .every = 3}}).stages.empty());
  for (const std::string& bad : {std::string(text).replace(40, 1, "?"), text + to_hex(digest_of(std::string_view("{}"))) + " {}\n"}) {
    std::ofstream(notes) << bad;
    EXPECT_FALSE(verify(store).clean());
    EXPECT_EQ(kind_of([&] { collect_garbage(store, lock, {false, true, {.last = 1}}); }), ErrorKind::store_invalid);
    EXPECT_TRUE(store.has_stage(stages[2]));
  }
}

TEST_F(UpkeepTest, TheBestByABenchmarkStays) {
  json::array points;
  for (std::size_t i = 0; i < stages.size(); ++i)
    points.push_back(json::object{{"stage", stages[i]}, {"scores", json::object{{"color", i == 3 ? 0.9 : 0.1}, {"count", 0.5}}}});
  const json::object study{{"benchmarks", json::array{json::object{{"name", "color"}, {"task", ""}}, json::object{{"name", "count"}, {"task", "count"}}}},
                           {"branches", json::array{json::object{{"stages", points}}}}};
  std::ofstream(store.root() / "study.json") << json::serialize(study);
  EXPECT_EQ(kind_of([&] { retained(store, {.best = "colour"}); }), ErrorKind::usage);
  EXPECT_EQ(left({.best = "held_out"}), sorted({stages[3], stages[5]}));
}

TEST_F(UpkeepTest, AnExtraBenchmarkIsNoneOfTheHeldOut) {
  json::array points;
  for (std::size_t i = 0; i < stages.size(); ++i)
    points.push_back(json::object{{"stage", stages[i]}, {"scores", json::object{{"color", i == 3 ? 0.6 : 0.5}, {"clock", i == 1 ? 1.0 : 0.0}}}});
  const json::object study{{"benchmarks", json::array{json::object{{"name", "color"}, {"kind", "held_out"}, {"task", ""}},
                                                      json::object{{"name", "clock"}, {"kind", "extra"}, {"task", ""}}}},
                           {"branches", json::array{json::object{{"stages", points}}}}};
  std::ofstream(store.root() / "study.json") << json::serialize(study);
  EXPECT_EQ(left({.best = "held_out"}), sorted({stages[3], stages[5]}));
}

TEST_F(UpkeepTest, ARunUnderwayKeepsItsParent) {
  StageDraft draft;
  draft.parents = {stages[1]};
  draft.arrays = {{kBias, DType::float32, {1}}};
  ProgressCommit progress(store, lock, "run", 3, draft);
  ExtentWriter writer(store.operations(), store.root(), progress.layout());
  const auto digests = writer.write(0, 0, std::vector<std::byte>(4));
  writer.finish();
  progress.publish({digests}, 1);
  EXPECT_EQ(left({.last = 1}), sorted({stages[1], stages[5]}));
}

/// Commits with all digests known beforehand, as the ranks of a mesh do.
std::string commit_sharing(const Store& store, const StoreLock& lock, const Model& model, std::vector<std::string> parents,
                           json::object inputs) {
  StageDraft draft{std::move(parents), std::move(inputs), {}, model.specs, {}, {}};
  for (const ArraySpec& spec : model.specs) draft.known[spec.path] = block_digests(model.bytes.at(spec.path));
  return write_stage(store, lock, std::move(draft), [&](const ArraySpec& spec, std::uint64_t begin, std::span<std::byte> out) {
    std::copy_n(model.bytes.at(spec.path).begin() + static_cast<std::ptrdiff_t>(begin), out.size(), out.begin());
  });
}

const std::string kEmbedding = "tensors/language.embed_tokens.weight";

struct SharingTest : UpkeepTest {
  /// Equal to the base but for the bias, which another branch has too; two tensors are as the base has them.
  Model change = [] {
    Model model = base_model();
    model.bytes.at(kBias)[0] ^= std::byte{1};
    return model;
  }();
  std::string holder(const std::string& stage, const std::string& path) const {
    return StageReader(store, stage).manifest().find(path)->holder;
  }
};

TEST_F(SharingTest, WhatAStageHoldsAlreadyIsLinkedAndKept) {
  const std::string first = commit_sharing(store, lock, change, {base}, {{"recipe", "a"}});
  EXPECT_EQ(holder(first, kEmbedding), base) << "trained, but as it was";
  EXPECT_EQ(holder(first, kBias), "");
  move_ref(store, lock, RefKind::branch, "a", first, "test");
  const std::string second = commit_sharing(store, lock, change, {base}, {{"recipe", "b"}});
  EXPECT_NE(second, first);
  EXPECT_EQ(holder(second, kBias), first);
  move_ref(store, lock, RefKind::branch, "b", second, "test");
  const StageSummary summary = summary_of(store, second);
  EXPECT_EQ(summary.own_bytes, 0U);
  EXPECT_EQ(summary.shares.at(first).tensors, 1U);
  EXPECT_EQ(summary.shares.at(first).bytes, 28U);
  EXPECT_EQ(dependents_of(store, first), std::set<std::string>{second});
  remove_ref(store, lock, RefKind::branch, "a", "test");
  collect_garbage(store, lock, {false, false});
  EXPECT_TRUE(store.has_stage(first)) << "it holds what the other branch needs";
  EXPECT_EQ(StageReader(store, second).read_all(kBias.substr(8)), change.bytes.at(kBias));
  EXPECT_TRUE(verify(store).clean());
}

TEST_F(SharingTest, WhatAHolderNeedsStays) {
  const std::string norm = "tensors/language.norm.weight";
  Model lent, bias;
  lent.add(norm, DType::float32, {}, 9);
  bias.add(kBias, DType::float32, {7}, 10);
  change.bytes.at(kBias) = bias.bytes.at(kBias);
  const std::string lender = lent.commit(store, lock, {base}, {{"recipe", "lender"}});
  const std::string holding = bias.commit(store, lock, {lender}, {{"recipe", "holding"}});
  move_ref(store, lock, RefKind::branch, "a", holding, "test");
  const std::string borrower = commit_sharing(store, lock, change, {base}, {{"recipe", "borrower"}});
  ASSERT_EQ(holder(borrower, kBias), holding);
  ASSERT_EQ(holder(holding, norm), lender);
  move_ref(store, lock, RefKind::branch, "b", borrower, "test");
  remove_ref(store, lock, RefKind::branch, "a", "test");
  collect_garbage(store, lock, {false, false});
  EXPECT_TRUE(verify(store).clean());
}

TEST_F(SharingTest, ADamagedHolderIsNotLinkedTo) {
  const std::string first = commit_sharing(store, lock, change, {base}, {{"recipe", "a"}});
  move_ref(store, lock, RefKind::branch, "a", first, "test");
  const StageReader reader(store, first);
  std::fstream file(store.stage_path(first), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(reader.place(kBias).array->offset)).put('x').flush();
  const std::string second = commit_sharing(store, lock, change, {base}, {{"recipe", "b"}});
  EXPECT_EQ(holder(second, kBias), "") << "written again";
  EXPECT_EQ(StageReader(store, second).read_all(kBias.substr(8)), change.bytes.at(kBias));
}

/// Flips a bit of the first byte of an array that the stage holds.
void damage(const Store& store, const std::string& id, const std::string& path) {
  const auto offset = static_cast<std::streamoff>(StageReader(store, id).place(path).array->offset);
  std::fstream file(store.stage_path(id), std::ios::in | std::ios::out | std::ios::binary);
  const int first = file.seekg(offset).get();
  file.seekp(offset).put(static_cast<char>(first ^ 1)).flush();
}

TEST_F(SharingTest, CommittedAgainADamagedStageIsReplaced) {
  Model model;
  model.add(kBias, DType::float32, {7}, 500);
  const std::string id = model.commit(store, lock, {base}, {{"recipe", "a"}});
  const std::string intact = framework::read_file(store.stage_path(id));
  damage(store, id, kBias);
  EXPECT_EQ(model.commit(store, lock, {base}, {{"recipe", "a"}}), id);
  EXPECT_TRUE(verify(store).clean()) << "a rotten block";
  std::fstream file(store.stage_path(id), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(intact.size() - 1)).put(static_cast<char>(intact.back() ^ 1)).flush();
  EXPECT_EQ(model.commit(store, lock, {base}, {{"recipe", "a"}}), id);
  EXPECT_TRUE(verify(store).clean()) << "rotten structure";
}

TEST_F(SharingTest, CommittedAgainALinkToNothingIsReplaced) {
  const std::string first = commit_sharing(store, lock, change, {base}, {{"recipe", "a"}});
  move_ref(store, lock, RefKind::branch, "a", first, "test");
  const std::string second = commit_sharing(store, lock, change, {base}, {{"recipe", "b"}});
  ASSERT_EQ(holder(second, kBias), first);
  fs::remove(store.stage_path(first));
  remove_ref(store, lock, RefKind::branch, "a", "test");
  EXPECT_EQ(commit_sharing(store, lock, change, {base}, {{"recipe", "b"}}), second);
  EXPECT_EQ(holder(second, kBias), "");
  EXPECT_TRUE(verify(store).clean());
}

TEST_F(SharingTest, WhatADamagedStageLentItHoldsAgain) {
  const std::string lender = commit_sharing(store, lock, change, {base}, {{"recipe", "a"}});
  move_ref(store, lock, RefKind::branch, "a", lender, "test");
  const std::string borrower = commit_sharing(store, lock, change, {base}, {{"recipe", "b"}});
  ASSERT_EQ(holder(borrower, kBias), lender);
  fs::resize_file(store.stage_path(lender), 5000);
  const std::string other = commit_sharing(store, lock, change, {base}, {{"recipe", "c"}});
  ASSERT_EQ(holder(other, kBias), "");
  move_ref(store, lock, RefKind::branch, "c", other, "test");
  EXPECT_EQ(commit_sharing(store, lock, change, {base}, {{"recipe", "a"}}), lender);
  EXPECT_EQ(holder(lender, kBias), "") << "the third stage holds it too, but the second has its link to this one";
  EXPECT_EQ(StageReader(store, borrower).read_all(kBias.substr(8)), change.bytes.at(kBias));
  EXPECT_TRUE(verify(store).clean());
  EXPECT_TRUE(files_in(store.root() / "temporary").empty());
}

TEST_F(SharingTest, AStageNeverLinksToItself) {
  const std::string first = commit_sharing(store, lock, change, {base}, {{"recipe", "a"}});
  move_ref(store, lock, RefKind::branch, "a", first, "test");
  fs::resize_file(store.stage_path(first), 5000);
  EXPECT_EQ(commit_sharing(store, lock, change, {base}, {{"recipe", "a"}}), first);
  EXPECT_EQ(holder(first, kBias), "");
  EXPECT_TRUE(verify(store).clean()) << "the damaged file was replaced by a whole one";
}

}  // namespace
}  // namespace retain::framework::testing
