// SPDX-License-Identifier: Apache-2.0
// Refs, their log, blends, differences, garbage, results, checkpoints and the lock.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "framework/store/blend.h"
#include "framework/store/diff.h"
#include "framework/store/gc.h"
#include "framework/store/half.h"
#include "framework/store/history.h"
#include "framework/store/progress.h"
#include "framework/store/results.h"
#include "framework/store/verify.h"
#include "tests/framework/store_support.h"
#include "tests/support/bad_sectors.h"

namespace retain::framework::testing {
namespace {

const std::string kUp = "tensors/language.layers.0.mlp.up_proj.weight";
const std::string kBias = "tensors/language.layers.0.self_attn.q_proj.bias";

Model small_base() {
  Model model;
  model.add("tensors/language.embed_tokens.weight", DType::float32, {33, 20}, 1);
  model.add(kUp, DType::bfloat16, {24, 32}, 2);
  model.add(kBias, DType::float32, {7}, 3);
  return model;
}

Model change(const std::string& path, DType dtype, std::vector<std::int64_t> shape, std::uint64_t seed) {
  Model model;
  model.add(path, dtype, std::move(shape), seed);
  return model;
}

struct HistoryTest : ::testing::Test {
  Scratch folder;
  Store store = Store::open_or_create(folder.path() / "store");
  StoreLock lock{store, "test"};
  std::string base = small_base().commit(store, lock, {}, {{"step", 0}});
  std::string first = change(kUp, DType::bfloat16, {24, 32}, 10).commit(store, lock, {base}, {{"step", 1}});
  std::string second = change(kBias, DType::float32, {7}, 11).commit(store, lock, {first}, {{"step", 2}});

  void move(const std::string& branch, const std::string& id) { move_ref(store, lock, RefKind::branch, branch, id, "test"); }
};

TEST_F(HistoryTest, NamesResolve) {
  move("main", second);
  move_ref(store, lock, RefKind::tag, "paper", base, "test");
  EXPECT_EQ(store.resolve("main"), second);
  EXPECT_EQ(store.resolve("main~"), first);
  EXPECT_EQ(store.resolve("main~2"), base);
  EXPECT_EQ(store.resolve("paper"), base);
  EXPECT_EQ(store.resolve(first), first);
  EXPECT_EQ(store.resolve(first.substr(0, 10)), first);
  for (const char* bad : {"main~3", "nothing", "../main", "", "~", "main~x", "main~99999999999", "abc"})
    EXPECT_EQ(kind_of([&] { store.resolve(bad); }), ErrorKind::store_unknown_stage) << bad;
  EXPECT_EQ(kind_of([&] { move_ref(store, lock, RefKind::tag, "paper", first, "test"); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { move("../evil", first); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { move("main", std::string(32, '0')); }), ErrorKind::store_unknown_stage);
}

TEST_F(HistoryTest, EveryMoveIsLoggedAndCanBeUndone) {
  move("main", first);
  move("main", second);
  move("main", base);
  const auto moves = ref_moves(store);
  ASSERT_EQ(moves.size(), 3U);
  EXPECT_EQ(moves.back().from, second);
  EXPECT_EQ(moves.back().to, base);
  move("main", moves.back().from);
  EXPECT_EQ(store.resolve("main"), second);
  // A torn last line is passed over and overwritten.
  std::ofstream(store.root() / "log" / "refs.jsonl", std::ios::app) << "0123456789 {\"time\":";
  EXPECT_EQ(ref_moves(store).size(), 4U);
  move("main", first);
  std::size_t damaged = 9;
  EXPECT_EQ(ref_moves(store, &damaged).back().to, first);
  EXPECT_EQ(damaged, 0U);
}

TEST_F(HistoryTest, SummariesCountOwnAndSharedBytes) {
  const StageSummary summary = summary_of(store, second);
  EXPECT_EQ(summary.own_bytes, 28U);
  EXPECT_EQ(summary.shared_bytes, 33U * 20 * 4 + 24U * 32 * 2);
  EXPECT_EQ(summary.own_tensors, 1U);
  EXPECT_EQ(summary.tensors, 3U);
  EXPECT_EQ(ancestry(store, second), (std::vector<std::string>{second, first, base}));
}

TEST_F(HistoryTest, BlendIsTheFormulaInFloat32RoundedOnce) {
  const double x = 0.3;
  const std::string id = commit_blend(store, lock, base, second, x);
  const StageReader blend(store, id);
  const auto a = small_base().bytes;
  const auto b_bias = change(kBias, DType::float32, {7}, 11).bytes.at(kBias);
  const auto bias = blend.read_all(kBias.substr(8));
  for (std::size_t i = 0; i < 7; ++i) {
    float left, right, found;
    std::memcpy(&left, &a.at(kBias)[4 * i], 4);
    std::memcpy(&right, &b_bias[4 * i], 4);
    std::memcpy(&found, &bias[4 * i], 4);
    const volatile float part_a = static_cast<float>(x) * left;
    const volatile float part_b = static_cast<float>(1.0 - x) * right;
    EXPECT_EQ(found, part_a + part_b);
  }
  const auto b_up = change(kUp, DType::bfloat16, {24, 32}, 10).bytes.at(kUp);
  const auto up = blend.read_all(kUp.substr(8));
  for (std::size_t i = 0; i < 24 * 32; ++i) {
    std::uint16_t left, right, found;
    std::memcpy(&left, &a.at(kUp)[2 * i], 2);
    std::memcpy(&right, &b_up[2 * i], 2);
    std::memcpy(&found, &up[2 * i], 2);
    const volatile float part_a = static_cast<float>(x) * from_bfloat16(left);
    const volatile float part_b = static_cast<float>(1.0 - x) * from_bfloat16(right);
    EXPECT_EQ(found, to_bfloat16(part_a + part_b));
  }
  EXPECT_EQ(blend.manifest().parents, (std::vector<std::string>{base, second}));
  EXPECT_EQ(blend.manifest().find("tensors/language.embed_tokens.weight")->holder, base) << "equal tensors are links";
  EXPECT_EQ(commit_blend(store, lock, base, second, x), id);
}

TEST_F(HistoryTest, ABlendThatIsNotWrittenEqualsTheWrittenOne) {
  const StageReader written(store, commit_blend(store, lock, base, second, 0.1));
  const BlendView view(std::make_shared<StageReader>(store, base), std::make_shared<StageReader>(store, second), 0.1);
  for (const TensorInfo& tensor : written.tensors()) EXPECT_EQ(view.read_all(tensor.name), written.read_all(tensor.name)) << tensor.name;
  const std::string name = kUp.substr(8);
  const TensorInfo& info = *written.find(name);
  std::vector<std::byte> mixed(info.bytes() / static_cast<std::uint64_t>(info.shape[1]) * 6), kept = mixed;
  view.read_slice(name, 1, 3, 9, mixed);
  written.read_slice(name, 1, 3, 9, kept);
  EXPECT_EQ(mixed, kept);
}

TEST_F(HistoryTest, BlendEndsAreTheParentsAndMisfitsAreRefused) {
  const StageReader left(store, commit_blend(store, lock, base, second, 1.0));
  const StageReader right(store, commit_blend(store, lock, base, second, 0.0));
  const StageReader a(store, base);
  const StageReader b(store, second);
  for (const TensorInfo& tensor : a.tensors()) {
    EXPECT_EQ(*left.digest(tensor.name), *a.digest(tensor.name));
    EXPECT_EQ(*right.digest(tensor.name), *b.digest(tensor.name));
  }
  const std::string more = change("tensors/language.adapter", DType::float32, {3}, 5).commit(store, lock, {base});
  EXPECT_EQ(kind_of([&] { commit_blend(store, lock, base, more, 0.5); }), ErrorKind::checkpoint_missing_tensor);
  EXPECT_EQ(kind_of([&] { commit_blend(store, lock, more, base, 0.5); }), ErrorKind::checkpoint_missing_tensor);
  const std::string reshaped = change(kBias, DType::float32, {8}, 5).commit(store, lock, {base});
  EXPECT_EQ(kind_of([&] { commit_blend(store, lock, base, reshaped, 0.5); }), ErrorKind::checkpoint_shape_mismatch);
  EXPECT_EQ(kind_of([&] { commit_blend(store, lock, base, second, 1.5); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { commit_blend(store, lock, base, second, std::nan("")); }), ErrorKind::usage);
}

TEST_F(HistoryTest, DifferencesAreMeasured) {
  const auto differences = diff(StageReader(store, base), StageReader(store, second));
  ASSERT_EQ(differences.size(), 3U);
  EXPECT_EQ(differences[0].fate, TensorFate::same);
  EXPECT_EQ(differences[2].fate, TensorFate::changed);
  const auto a = small_base().bytes.at(kBias);
  const auto b = change(kBias, DType::float32, {7}, 11).bytes.at(kBias);
  double square = 0, norm_a = 0, norm_b = 0, product = 0;
  for (std::size_t i = 0; i < 7; ++i) {
    float u, v;
    std::memcpy(&u, &a[4 * i], 4);
    std::memcpy(&v, &b[4 * i], 4);
    square += (double{v} - u) * (double{v} - u);
    norm_a += double{u} * u;
    norm_b += double{v} * v;
    product += double{u} * v;
  }
  EXPECT_NEAR(differences[2].distance.norm(), std::sqrt(square), 1e-12);
  EXPECT_NEAR(differences[2].distance.relative(), std::sqrt(square / norm_a), 1e-12);
  EXPECT_NEAR(differences[2].distance.cosine(), product / std::sqrt(norm_a * norm_b), 1e-12);
  const auto modules = by_module(differences);
  ASSERT_EQ(modules.size(), 3U);
  EXPECT_EQ(modules[1].name, "language.layers.*.mlp");
  EXPECT_EQ(modules[0].fate, TensorFate::same);
}

TEST_F(HistoryTest, GcKeepsWhatIsNeeded) {
  move("main", second);
  const std::string stray = change(kBias, DType::float32, {7}, 99).commit(store, lock, {first});
  std::ofstream(store.root() / "temporary" / "stage-left-over") << "half";
  GcReport report = collect_garbage(store, lock, {true, true});
  EXPECT_EQ(report.stages, std::vector<std::string>{stray});
  EXPECT_EQ(report.temporaries.size(), 1U);
  EXPECT_TRUE(store.has_stage(stray)) << "a dry run removes nothing";
  collect_garbage(store, lock, {false, true});
  EXPECT_FALSE(store.has_stage(stray));
  EXPECT_TRUE(files_in(store.root() / "temporary").empty());
  EXPECT_EQ(store.stage_ids().size(), 3U);
  move("main", first);
  EXPECT_TRUE(collect_garbage(store, lock, {false, true}).stages.empty()) << "the log still knows it";
  EXPECT_EQ(collect_garbage(store, lock, {false, false}).stages, std::vector<std::string>{second});
  EXPECT_TRUE(verify(store).clean());
  std::ofstream(store.root() / "refs" / "heads" / "main") << "damaged";
  EXPECT_EQ(kind_of([&] { collect_garbage(store, lock, {false, false}); }), ErrorKind::store_invalid);
  EXPECT_EQ(store.stage_ids().size(), 2U) << "nothing is removed when the refs cannot be read";
  move("main", first);
  EXPECT_EQ(store.resolve("main"), first) << "moving a damaged ref repairs it";
}

TEST_F(HistoryTest, ResultsAreWrittenOnce) {
  const std::string key = memo_key("eval", {{"stage", first}, {"benchmark", "digits"}});
  EXPECT_EQ(key, memo_key("eval", {{"benchmark", "digits"}, {"stage", first}}));
  EXPECT_FALSE(get_result(store, key));
  put_result(store, lock, key, {{"score", 0.25}, {"samples", {1, 0, 0, 0}}});
  put_result(store, lock, key, {{"score", 0.25}, {"samples", {1, 0, 0, 0}}});
  EXPECT_EQ(get_result(store, key)->at("score").as_double(), 0.25);
  EXPECT_EQ(kind_of([&] { put_result(store, lock, key, {{"score", 0.5}}); }), ErrorKind::store_invalid);
  EXPECT_EQ(kind_of([&] { get_result(store, "../lock"); }), ErrorKind::usage);
  EXPECT_EQ(result_keys(store), std::vector<std::string>{key});
  const auto path = store.root() / "results" / (key + ".json");
  const std::string text = read_file(path);
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string flipped = text;
    flipped[at] = static_cast<char>(flipped[at] ^ 4);
    std::ofstream(path, std::ios::binary) << flipped;
    EXPECT_EQ(kind_of([&] { get_result(store, key); }), ErrorKind::store_digest) << at;
  }
  put_result(store, lock, key, {{"score", 0.25}});
  EXPECT_TRUE(get_result(store, key)) << "a damaged result is replaced";
}

/// A checkpoint of one array, of which the two newest are kept.
void put_checkpoint(const Store& store, const StoreLock& lock, std::int64_t step) {
  StageDraft draft;
  draft.inputs = {{"step", step}};
  draft.arrays = {{"optimizer/exp_avg/language.norm.weight", DType::float32, {16}}};
  ProgressCommit commit(store, lock, "run-1", step, draft);
  ExtentWriter writer(store.operations(), store.root(), commit.layout());
  const auto digests = writer.write(0, 0, std::vector<std::byte>(64, static_cast<std::byte>(step)));
  writer.finish();
  commit.publish({digests}, 2);
}

TEST_F(HistoryTest, ADamagedCheckpointLeavesTheOneBefore) {
  for (const std::int64_t step : {10, 20, 30}) put_checkpoint(store, lock, step);
  const std::filesystem::path newest = store.root() / "progress" / "run-1" / "step-000000000030.h5";
  const std::string intact = framework::read_file(newest);
  const std::uint64_t array = open_progress(store, "run-1", 30)->manifest().arrays.front().offset;
  for (const std::uint64_t at : {std::uint64_t{7}, array + 3, std::uint64_t{intact.size() - 1}}) {  // header, block, manifest
    std::string bytes = intact;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    std::ofstream(newest, std::ios::binary | std::ios::trunc) << bytes;
    const LatestProgress latest = latest_progress(store, "run-1");
    EXPECT_EQ(latest.step, 20) << at;
    ASSERT_EQ(latest.passed.damaged.size(), 1U) << at;
    EXPECT_NE(latest.passed.damaged.front().find(newest.string()), std::string::npos) << latest.passed.damaged.front();
    EXPECT_EQ(latest.passed.damaged.front().find("roll back"), std::string::npos) << "there is no stage to roll back to";
  }
  put_checkpoint(store, lock, 25);
  EXPECT_EQ(progress_steps(store, "run-1"), (std::vector<std::int64_t>{20, 25})) << "the run went back past the damaged one";
}

TEST_F(HistoryTest, ACheckpointThatCannotBeReadLeavesTheOneBefore) {
  for (const std::int64_t step : {10, 20, 30}) put_checkpoint(store, lock, step);
  const std::string newest = "step-000000000030.h5", older = "step-000000000020.h5";
  tests::BadSectors disk;
  const Store read = Store::open(store.root(), disk);
  // The header is read on open, the array in the middle of the file; a file may refuse to be opened at all.
  for (const std::uint64_t from : {std::uint64_t{0}, open_progress(store, "run-1", 30)->manifest().arrays.front().offset})
    for (const bool opens : {true, false}) {
      disk.unreadable = {newest};
      disk.from = from;
      disk.opens = opens;
      const LatestProgress latest = latest_progress(read, "run-1");
      EXPECT_EQ(latest.step, 20) << from;
      EXPECT_EQ(latest.passed.unreadable, 1U) << from;
      ASSERT_EQ(latest.passed.damaged.size(), 1U) << from;
      EXPECT_NE(latest.passed.damaged.front().find(newest), std::string::npos) << latest.passed.damaged.front();
      EXPECT_NE(latest.passed.damaged.front().find("Input/output error"), std::string::npos) << latest.passed.damaged.front();
      disk.unreadable = {newest, older};
      const LatestProgress none = latest_progress(read, "run-1");
      EXPECT_FALSE(none.step) << from;
      EXPECT_EQ(none.passed.unreadable, 2U) << from;
      EXPECT_EQ(kind_of([&] { none.passed.require_readable(); }), ErrorKind::io);
    }
  std::ofstream(store.root() / "progress" / "run-1" / older, std::ios::trunc) << "torn";
  disk.unreadable = {newest};
  const LatestProgress latest = latest_progress(read, "run-1");
  EXPECT_FALSE(latest.step);
  EXPECT_EQ(kind_of([&] { latest.passed.require_readable(); }), ErrorKind::io) << "the newer one may be readable later";
  disk.unreadable = {};
  put_checkpoint(store, lock, 20);
  EXPECT_EQ(latest_progress(read, "run-1").step, 20);
}

TEST_F(HistoryTest, CheckpointsKeepTheNewest) {
  for (const std::int64_t step : {10, 20, 30}) put_checkpoint(store, lock, step);
  EXPECT_EQ(progress_steps(store, "run-1"), (std::vector<std::int64_t>{20, 30}));
  EXPECT_EQ(latest_progress(store, "run-1").step, 30);
  std::ofstream(store.root() / "progress" / "run-1" / "step-000000000030.h5", std::ios::trunc) << "torn";
  const LatestProgress latest = latest_progress(store, "run-1");
  EXPECT_EQ(latest.step, 20);
  EXPECT_EQ(latest.passed.damaged.size(), 1U);
  EXPECT_EQ(open_progress(store, "run-1", 20)->manifest().inputs.at("step").as_int64(), 20);
  clear_progress(store, lock, "run-1");
  EXPECT_TRUE(progress_runs(store).empty());
  EXPECT_FALSE(latest_progress(store, "run-1").step);
}

TEST(StoreLockTest, NamesTheHolderAndDiesWithIt) {
  Scratch folder;
  const Store store = Store::open_or_create(folder.path() / "store");
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const StoreLock held(store, "another run");
    char byte = 1;
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  try {
    StoreLock(store, "test");
    ADD_FAILURE() << "two writers";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::store_locked);
    EXPECT_NE(std::string(error.what()).find("process " + std::to_string(child)), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("another run"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(store.stage_ids().empty()) << "reading needs no lock";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(StoreLock(store, "test"));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(Half, RoundTripsAndRoundsToEven) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const auto brain = to_bfloat16(from_bfloat16(half));
    const auto ieee = to_float16(from_float16(half));
    ASSERT_EQ(brain, std::isnan(from_bfloat16(half)) ? (half | 0x40) : half);
    ASSERT_TRUE(ieee == half || std::isnan(from_float16(half)));
  }
  EXPECT_EQ(to_bfloat16(1.00390625F), 0x3F80);  // halfway between 1 and the next: to even
  EXPECT_EQ(to_bfloat16(1.01171875F), 0x3F82);
  EXPECT_EQ(to_float16(1.00048828125F), 0x3C00);
  EXPECT_EQ(to_float16(65520.0F), 0x7C00);
  EXPECT_EQ(to_float16(65519.0F), 0x7BFF);
  EXPECT_EQ(to_float16(std::ldexp(1.0F, -25)), 0);
  EXPECT_EQ(to_float16(std::ldexp(1.5F, -25)), 1);
}

}  // namespace
}  // namespace retain::framework::testing
