// SPDX-License-Identifier: Apache-2.0
// Damaged and hostile stage files: every flipped bit and every cut is found, nothing reaches outside the store.
#include <sys/stat.h>

#include <fstream>
#include <random>

#include "framework/store/verify.h"
#include "tests/framework/store_support.h"

namespace retain::framework::testing {
namespace {

Model small() {
  Model model;
  model.add("tensors/language.layers.0.mlp.up_proj.weight", DType::bfloat16, {24, 32}, 2);
  model.add("tensors/language.norm.weight", DType::float32, {7}, 3);
  model.add("files/config.json", DType::uint8, {45}, 4);
  return model;
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

struct DamageTest : ::testing::Test {
  Scratch folder;
  Store store = Store::open_or_create(folder.path() / "store");
  std::string id = small().commit(store, StoreLock(store, "test"), {});
  std::string intact = framework::read_file(store.stage_path(id));

  /// The kind of the first refusal when everything of the stage is read.
  std::optional<ErrorKind> refusal() const {
    try {
      const StageReader reader(store, id);
      for (const TensorInfo& tensor : reader.tensors()) reader.read_all(tensor.name);
      for (const std::string& file : reader.files()) reader.read_file(file);
      reader.file().check_skeleton();
    } catch (const Error& error) {
      return error.kind();
    }
    return std::nullopt;
  }
  void expect_refused(const std::string& what) const {
    const auto kind = refusal();
    EXPECT_TRUE(kind == ErrorKind::store_digest || kind == ErrorKind::store_invalid) << what << (kind ? " was refused as another kind" : " went unnoticed");
  }
};

TEST_F(DamageTest, EveryFlippedBitIsFound) {
  ASSERT_EQ(refusal(), std::nullopt);
  std::mt19937 random(5);
  for (std::size_t at = 0; at < intact.size(); ++at) {
    const char bit = static_cast<char>(1 << (random() % 8));
    std::fstream file(store.stage_path(id), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(intact[at] ^ bit)).flush();
    expect_refused("bit in byte " + std::to_string(at));
    file.seekp(static_cast<std::streamoff>(at)).put(intact[at]);
  }
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(DamageTest, EveryCutAndEveryTornBlockIsFound) {
  for (std::size_t length = 0; length < intact.size(); length += 1 + length / 16) {
    write_file(store.stage_path(id), intact.substr(0, length));
    expect_refused("a file cut to " + std::to_string(length));
  }
  write_file(store.stage_path(id), intact + "x");
  expect_refused("a longer file");
  for (std::size_t begin = 0; begin < intact.size(); begin += 512) {
    std::string torn = intact;
    std::fill_n(torn.begin() + static_cast<std::ptrdiff_t>(begin), std::min<std::size_t>(512, torn.size() - begin), '\0');
    if (torn == intact) continue;
    write_file(store.stage_path(id), torn);
    expect_refused("zeros at " + std::to_string(begin));
  }
}

TEST_F(DamageTest, VerifyNamesStageTensorAndBlock) {
  const ArrayEntry place = *StageReader(store, id).place("tensors/language.norm.weight").array;
  std::string bytes = intact;
  bytes[place.offset + 3] = static_cast<char>(bytes[place.offset + 3] ^ 1);
  write_file(store.stage_path(id), bytes);
  const VerifyReport report = verify(store);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_NE(report.problems[0].find("block 0 of tensors/language.norm.weight"), std::string::npos) << report.problems[0];
  EXPECT_NE(report.problems[0].find(id), std::string::npos);
}

TEST_F(DamageTest, AnotherStagesFileUnderThisNameIsRefused) {
  Model other = small();
  other.bytes.at("tensors/language.norm.weight")[0] ^= std::byte{1};
  const std::string id_of_other = other.commit(store, StoreLock(store, "test"), {});
  std::filesystem::copy_file(store.stage_path(id_of_other), store.stage_path(id), std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(refusal(), ErrorKind::store_invalid);
}

TEST_F(DamageTest, LinksAndPipesAreNotFollowed) {
  const std::filesystem::path path = store.stage_path(id);
  std::filesystem::rename(path, folder.path() / "outside.h5");
  std::filesystem::create_symlink(folder.path() / "outside.h5", path);
  EXPECT_EQ(refusal(), ErrorKind::store_unknown_stage);
  EXPECT_EQ(kind_of([&] { StageFile(store.operations(), path); }), ErrorKind::io);
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(refusal(), ErrorKind::store_unknown_stage);
  EXPECT_EQ(kind_of([&] { StageFile(store.operations(), path); }), ErrorKind::store_invalid);
}

TEST_F(DamageTest, ALinkToWhatIsNotThereIsRefused) {
  Model change;
  change.add("tensors/language.norm.weight", DType::float32, {7}, 9);
  const std::string child = change.commit(store, StoreLock(store, "test"), {id});
  std::filesystem::remove(store.stage_path(id));
  EXPECT_EQ(kind_of([&] { StageReader(store, child); }), ErrorKind::store_unknown_stage);
  EXPECT_FALSE(verify(store).clean());
}

std::string manifest_with(const std::string& array, const std::string& parents = "[]") {
  return R"({"kind":"stage","parents":)" + parents + R"(,"inputs":{},"info":{},"block_bytes":4194304,"arrays":[)" + array + "]}";
}

TEST(HostileManifest, IsRefusedWithoutAllocating) {
  const std::string empty = to_hex(digest_of(std::span<const Digest>()));
  const auto array = [&](const std::string& path, const std::string& shape, const std::string& rest) {
    return R"({"path":")" + path + R"(","dtype":"float32","shape":)" + shape + R"(,"digest":")" + empty + "\"," + rest + "}";
  };
  const std::string here = R"("offset":5000,"blocks":[])";
  EXPECT_NO_THROW(manifest_from_text(manifest_with(array("tensors/a", "[0]", here)), "a test", 10000));
  const std::vector<std::string> bad{
      manifest_with(array("tensors/../../etc/passwd", "[0]", here)),
      manifest_with(array("/etc/passwd", "[0]", here)),
      manifest_with(array("tensors//a", "[0]", here)),
      manifest_with(array("tensors/a\\u0000b", "[0]", here)),
      manifest_with(array("tensors/a", "[0]", R"("holder":"../../../../etc/passwd")")),
      manifest_with(array("tensors/a", "[0]", R"("holder":"0123")")),
      manifest_with(array("tensors/a", "[-1]", here)),
      manifest_with(array("tensors/a", "[4611686018427387904,4]", here)),
      manifest_with(array("tensors/a", "[281474976710656,281474976710656]", here)),
      manifest_with(array("tensors/a", "[70000000000000]", here)),
      manifest_with(array("tensors/a", "[1,1,1,1,1,1,1,1,1]", here)),
      manifest_with(array("tensors/a", "[1.5]", here)),
      manifest_with(array("tensors/a", "[\"7\"]", here)),
      manifest_with(array("tensors/a", "[2000]", R"("offset":5000,"blocks":[])")),
      manifest_with(array("tensors/a", "[0]", R"("offset":-5,"blocks":[])")),
      manifest_with(array("tensors/a", "[0]", R"("offset":18446744073709551615,"blocks":[])")),
      manifest_with(array("tensors/a", "[4]", R"("offset":9999,"blocks":[")" + empty + "\"]")),
      manifest_with(array("tensors/a", "[4]", R"("offset":5000,"blocks":["zz"])")),
      manifest_with(array("tensors/a", "[0]", here) + "," + array("tensors/a", "[0]", here)),
      manifest_with(array("tensors/a", "[0]", here), R"(["../x"])"),
      manifest_with("7"),
      R"({"kind":"stage"})",
      "[]",
      "",
      std::string(100000, '['),
  };
  for (const std::string& text : bad)
    EXPECT_EQ(kind_of([&] { manifest_from_text(text, "a test", 10000); }), ErrorKind::store_invalid) << text.substr(0, 200);
}

TEST(HostileManifest, OverlappingArraysAreRefused) {
  const std::string block = to_hex(digest_of(std::string_view("x")));
  const Digest one = digest_of(std::string_view("x"));
  const std::string digest = to_hex(digest_of(std::span(&one, 1)));
  const auto array = [&](const std::string& path, int offset) {
    return R"({"path":")" + path + R"(","dtype":"float32","shape":[4],"digest":")" + digest + R"(","offset":)" +
           std::to_string(offset) + R"(,"blocks":[")" + block + "\"]}";
  };
  EXPECT_NO_THROW(manifest_from_text(manifest_with(array("tensors/a", 5000) + "," + array("tensors/b", 5016)), "a test", 10000));
  EXPECT_EQ(kind_of([&] { manifest_from_text(manifest_with(array("tensors/a", 5000) + "," + array("tensors/b", 5012)), "a test", 10000); }),
            ErrorKind::store_invalid);
}

}  // namespace
}  // namespace retain::framework::testing
