// SPDX-License-Identifier: Apache-2.0
// Damaged refs and a torn log: who goes on beside them, and how each is put right.
#include <fstream>

#include "framework/store/gc.h"
#include "framework/store/held_arrays.h"
#include "framework/store/repair.h"
#include "framework/store/verify.h"
#include "tests/framework/store_support.h"

namespace retain::framework::testing {
namespace {

struct RefsTest : ::testing::Test {
  static Model model(std::uint64_t seed) {
    Model model;
    model.add("tensors/language.norm.weight", DType::float32, {7}, seed);
    return model;
  }
  void move(const std::string& branch, const std::string& id) { move_ref(store, lock, RefKind::branch, branch, id, "test"); }

  Scratch folder;
  Store store = Store::open_or_create(folder.path() / "store");
  StoreLock lock{store, "test"};
  std::string first = model(1).commit(store, lock, {}, {{"step", 1}});
  std::string second = model(2).commit(store, lock, {first}, {{"step", 2}});
};

TEST_F(RefsTest, AHoleInTheLogsLastLineIsATornTailAndAFlippedBitIsNot) {
  move("main", first);
  move("main", second);
  const std::filesystem::path path = store.root() / "log" / "refs.jsonl";
  const std::string intact = framework::read_file(path);
  const std::size_t last = intact.rfind('\n', intact.size() - 2) + 1;
  const auto moves = [&](std::string text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
    std::size_t damaged = 0;
    const std::size_t count = ref_moves(store, &damaged).size();
    return std::pair(count, damaged);
  };
  EXPECT_EQ(moves(intact), std::pair(std::size_t{2}, std::size_t{0}));
  std::string flipped = intact;
  flipped[last + 50] = '\0';
  EXPECT_EQ(moves(flipped), std::pair(std::size_t{1}, std::size_t{1}));
  for (const std::size_t bytes : {1, 30}) {
    std::string torn = intact;
    torn.replace(last, bytes, bytes, '\0');
    EXPECT_EQ(moves(torn), std::pair(std::size_t{1}, std::size_t{0})) << bytes << " bytes never came";
    move("main", bytes == 1 ? first : second);
    std::size_t damaged = 0;
    EXPECT_EQ(ref_moves(store, &damaged).size(), 2U) << "the torn line is written over";
    EXPECT_EQ(damaged, 0U);
  }
}

struct DamagedRefTest : RefsTest {
  void SetUp() override {
    move("main", second);
    move_ref(store, lock, RefKind::tag, "paper", first, "test");
  }
  void damage(const std::string& ref) const {
    std::fstream file(store.root() / "refs" / ref, std::ios::in | std::ios::out);
    file.seekp(3).put('x').flush();
  }
  /// What gc says, which refuses as long as it cannot know what the ref keeps.
  std::string refusal_of_gc() const {
    try {
      collect_garbage(store, lock, {false, false});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::store_invalid);
      return error.what();
    }
    return "no refusal";
  }
  /// The store serves everybody but gc, and verify names both the file and the way back.
  void expect_open(const std::string& file, const std::string& remedy) {
    for (const std::string& told : {refusal_of_gc(), verify(store).problems.front()}) {
      EXPECT_NE(told.find(file), std::string::npos) << told;
      EXPECT_NE(told.find(remedy), std::string::npos) << told;
    }
    EXPECT_EQ(verify(store).problems.size(), 1U);
    std::vector<std::string> damaged;
    EXPECT_EQ(refs_of(store, &damaged).size(), 1U);
    EXPECT_EQ(damaged.size(), 1U);
    EXPECT_EQ(kind_of([&] { refs_of(store); }), ErrorKind::store_invalid);
    EXPECT_EQ(kind_of([&] { store.resolve("nothing"); }), ErrorKind::store_unknown_stage);
    EXPECT_EQ(repair(store, lock, store).damaged_refs, damaged);
    EXPECT_NO_THROW(HeldArrays{store}) << "a run would end at its next commit";
  }
  const std::string of_store = " " + store.root().string() + " ";
};

TEST_F(DamagedRefTest, ATagIsRemovedAndSetAgain) {
  damage("tags/paper");
  expect_open("refs/tags/paper", "`retain store tag" + of_store + "paper --delete`, then `retain store tag" + of_store + "paper " + first + "`");
  EXPECT_EQ(kind_of([&] { move_ref(store, lock, RefKind::tag, "paper", first, "test"); }), ErrorKind::usage) << "tags do not move";
  remove_ref(store, lock, RefKind::tag, "paper", "test");
  EXPECT_EQ(ref_moves(store).back().from, first) << "the log still knows what it kept";
  move_ref(store, lock, RefKind::tag, "paper", first, "test");
  EXPECT_EQ(store.resolve("paper"), first);
  EXPECT_TRUE(verify(store).clean());
  EXPECT_NO_THROW(collect_garbage(store, lock, {false, false}));
}

TEST_F(DamagedRefTest, ABranchIsMovedOrRemoved) {
  damage("heads/main");
  expect_open("refs/heads/main", "`retain store rollback" + of_store + "main " + second + "`");
  move("main", second);
  EXPECT_EQ(store.resolve("main"), second);
  EXPECT_TRUE(verify(store).clean());
  damage("heads/main");
  remove_ref(store, lock, RefKind::branch, "main", "test");
  EXPECT_FALSE(find_ref(store, "main"));
  EXPECT_TRUE(verify(store).clean());
}

TEST_F(DamagedRefTest, WithoutTheLogTheStageIsTheUsersToName) {
  std::filesystem::remove(store.root() / "log" / "refs.jsonl");
  damage("tags/paper");
  EXPECT_NE(refusal_of_gc().find("the log knows no value"), std::string::npos) << refusal_of_gc();
  remove_ref(store, lock, RefKind::tag, "paper", "test");
  EXPECT_FALSE(find_ref(store, "paper"));
}

}  // namespace
}  // namespace retain::framework::testing
