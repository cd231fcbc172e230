// SPDX-License-Identifier: Apache-2.0
// Stage files: what is written is read, links lead to the holder, plain HDF5 tools see the whole model.
#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "framework/store/direct_io.h"
#include "framework/store/results.h"
#include "tests/framework/store_support.h"

namespace retain::framework::testing {
namespace {

void expect_equal(const StageReader& stage, const Model& model) {
  for (const ArraySpec& spec : model.specs) {
    if (!spec.path.starts_with(kTensorPrefix)) continue;
    const std::string name = spec.path.substr(kTensorPrefix.size());
    ASSERT_NE(stage.find(name), nullptr) << name;
    EXPECT_EQ(stage.find(name)->shape, spec.shape);
    EXPECT_EQ(stage.read_all(name), model.bytes.at(spec.path)) << name;
  }
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (!pipe) return text;
  char buffer[4096];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, count);
  ::pclose(pipe);
  return text;
}

bool available(const std::string& program) { return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0; }

struct StageTest : ::testing::Test {
  Scratch folder;
  Store store = Store::open_or_create(folder.path() / "store");
  StoreLock lock{store, "test"};
};

TEST_F(StageTest, ReadsBackWhatWasWritten) {
  const Model base = base_model();
  const std::string id = base.commit(store, lock, {}, {{"recipe", "base"}});
  const StageReader stage(store, id);
  expect_equal(stage, base);
  const std::string file = stage.read_file("config.json");
  EXPECT_EQ(std::memcmp(file.data(), base.bytes.at("files/config.json").data(), 321), 0);
  EXPECT_EQ(stage.files(), std::vector<std::string>{"config.json"});
  EXPECT_EQ(stage.manifest().inputs.at("recipe").as_string(), "base");
}

TEST_F(StageTest, SlicesEqualThoseOfTheWhole) {
  const Model base = base_model();
  const StageReader stage(store, base.commit(store, lock, {}));
  const auto& whole = base.bytes.at("tensors/language.embed_tokens.weight");
  std::vector<std::byte> columns(1500UL * 183 * 4), rows(100UL * 1100 * 4);
  stage.read_slice("language.embed_tokens.weight", 1, 17, 200, columns);
  for (std::size_t row = 0; row < 1500; ++row)
    ASSERT_EQ(std::memcmp(&columns[row * 183 * 4], &whole[(row * 1100 + 17) * 4], 183 * 4), 0) << row;
  stage.read_slice("language.embed_tokens.weight", 0, 1400, 1500, rows);
  EXPECT_EQ(std::memcmp(rows.data(), &whole[1400 * 1100 * 4], rows.size()), 0);
}

/// The real thing, counting what goes past the page cache.
struct CountedFiles : FileOperations {
  std::size_t read_direct_at(int descriptor, std::span<std::byte> bytes, std::uint64_t offset, const Path& path) override {
    const std::size_t moved = FileOperations::read_direct_at(descriptor, bytes, offset, path);
    past_cache += moved;
    return moved;
  }
  std::uint64_t past_cache = 0;
};

TEST_F(StageTest, LargeStagesAreReadPastThePageCacheAndChecked) {
  Model large = base_model();
  large.add("tensors/language.lm_head.weight", DType::bfloat16, {33000, 4100}, 7);  // its last block ends within a page
  CountedFiles files;
  const Store counted = Store::open(folder.path() / "store", files);
  const std::string id = large.commit(store, lock, {});
  ASSERT_GT(std::filesystem::file_size(store.stage_path(id)), StageFile::kLargeBytes);
  const StageReader stage(counted, id);
  expect_equal(stage, large);
  File probe(files, folder.path() / "probe", O_RDWR | O_CREAT);
  if (DirectWriter(files, probe).direct()) EXPECT_GT(files.past_cache, StageFile::kLargeBytes / 10 * 9);

  const ArrayEntry& head = *stage.manifest().find("tensors/language.lm_head.weight");
  std::fstream file(store.stage_path(id), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(head.offset + 5 * kBlockBytes + 77));
  file.put(static_cast<char>(~std::to_integer<int>(large.bytes.at(head.spec.path)[5 * kBlockBytes + 77])));
  file.close();
  EXPECT_EQ(kind_of([&] { StageReader(counted, id).read_all("language.lm_head.weight"); }), ErrorKind::store_digest);
}

TEST_F(StageTest, AStageCostsOnlyWhatChangedAndLinksStraightToTheHolder) {
  const Model base = base_model();
  const std::string first = base.commit(store, lock, {});
  Model change;
  change.add("tensors/language.layers.0.mlp.up_proj.weight", DType::bfloat16, {96, 512}, 20);
  const std::string second = change.commit(store, lock, {first});
  Model again;
  again.add("tensors/language.layers.0.self_attn.q_proj.bias", DType::float32, {7}, 30);
  again.add("tensors/language.adapter", DType::float32, {3, 2}, 31);
  const std::string third = again.commit(store, lock, {second});

  const StageReader stage(store, third);
  expect_equal(stage, again);
  expect_equal(stage, change);
  EXPECT_EQ(stage.read_all("language.embed_tokens.weight"), base.bytes.at("tensors/language.embed_tokens.weight"));
  EXPECT_EQ(stage.manifest().find("tensors/language.embed_tokens.weight")->holder, first);
  EXPECT_EQ(stage.manifest().find("tensors/language.layers.0.mlp.up_proj.weight")->holder, second);
  EXPECT_EQ(stage.tensors().back().name, "language.adapter");
  EXPECT_EQ(stage.tensors().front().name, "language.embed_tokens.weight");
  EXPECT_LT(stage.file().file_bytes(), 64U * 1024);
}

TEST_F(StageTest, TheIdCoversContentAndNothingElse) {
  const Model base = base_model();
  const std::string id = base.commit(store, lock, {}, {{"a", 1}, {"b", 2}});
  EXPECT_EQ(base.commit(store, lock, {}, {{"b", 2}, {"a", 1}}), id);
  EXPECT_NE(base.commit(store, lock, {}, {{"a", 1}, {"b", 3}}), id);
  Model other = base_model();
  other.bytes.at("tensors/language.layers.0.self_attn.q_proj.bias")[5] ^= std::byte{1};
  EXPECT_NE(other.commit(store, lock, {}, {{"a", 1}, {"b", 2}}), id);
  EXPECT_EQ(store.stage_ids().size(), 3U);
  EXPECT_TRUE(files_in(store.root() / "temporary").empty());
}

TEST_F(StageTest, MovesAsAFolder) {
  const Model base = base_model();
  const std::string first = base.commit(store, lock, {});
  Model change;
  change.add("tensors/language.layers.0.mlp.up_proj.weight", DType::bfloat16, {96, 512}, 20);
  const std::string second = change.commit(store, lock, {first});
  std::filesystem::copy(store.root(), folder.path() / "copy", std::filesystem::copy_options::recursive);
  std::filesystem::rename(store.root(), folder.path() / "gone");
  const Store copy = Store::open(folder.path() / "copy");
  expect_equal(StageReader(copy, second), change);
  EXPECT_EQ(StageReader(copy, second).read_all("language.embed_tokens.weight"), base.bytes.at("tensors/language.embed_tokens.weight"));
}

TEST_F(StageTest, PlainHdf5ToolsSeeTheWholeModel) {
  if (!available("h5ls")) GTEST_SKIP() << "h5ls is not installed";
  const std::string first = base_model().commit(store, lock, {});
  Model change;
  change.add("tensors/language.layers.0.self_attn.q_proj.bias", DType::float32, {7}, 20);
  const std::string second = change.commit(store, lock, {first});
  const std::string list = output_of("h5ls -rE " + store.stage_path(second).string());
  const StageReader stage(store, second);
  for (const TensorInfo& tensor : stage.tensors())
    EXPECT_NE(list.find("/tensors/" + tensor.name), std::string::npos) << list;
  EXPECT_NE(list.find("Dataset {1500, 1100}"), std::string::npos) << list;
  EXPECT_NE(list.find("Dataset {96, 512}"), std::string::npos) << list;
  EXPECT_EQ(list.find("**"), std::string::npos) << list;
  const std::string header = output_of("h5dump -E -H " + store.stage_path(second).string());
  EXPECT_NE(header.find("xxh3_128"), std::string::npos) << header.substr(0, 2000);
}

TEST_F(StageTest, H5pyOpensTheWholeModel) {
  const char* chosen = std::getenv("RETAIN_PYTHON");
  const std::string python = chosen ? chosen : "python3";
  if (!available(python) || std::system((python + " -c 'import h5py' 2>/dev/null").c_str()) != 0) GTEST_SKIP() << "h5py is not installed";
  Model model = base_model();
  model.add("tensors/half", DType::float16, {5, 3}, 8);
  model.add("tensors/mask", DType::int64, {4}, 9);
  model.bytes.at("tensors/half").assign(30, std::byte{0x3C});
  const std::string first = model.commit(store, lock, {});
  Model change;
  change.add("tensors/language.layers.0.self_attn.q_proj.bias", DType::float32, {7}, 20);
  const std::string second = change.commit(store, lock, {first});
  for (const std::string& id : {first, second}) {
    const std::string said = output_of(python + " " RETAIN_SOURCE "/tests/check_h5py.py " + store.root().string() + " " + id);
    EXPECT_NE(said.find(id == first ? "8 arrays, 0 through links" : "8 arrays, 7 through links"), std::string::npos) << said;
  }
}

TEST_F(StageTest, RefusesWhatCannotBe) {
  Model bad;
  bad.add("tensors/../../evil", DType::float32, {3}, 1);
  EXPECT_EQ(kind_of([&] { bad.commit(store, lock, {}); }), ErrorKind::internal);
  EXPECT_EQ(kind_of([&] { base_model().commit(store, lock, {std::string(32, 'a')}); }), ErrorKind::store_unknown_stage);
  EXPECT_EQ(kind_of([&] { StageReader(store, std::string(32, 'b')); }), ErrorKind::store_unknown_stage);
  EXPECT_EQ(kind_of([&] { Store::open(folder.path()); }), ErrorKind::store_invalid);
  std::ofstream(folder.path() / "something") << "else";
  EXPECT_EQ(kind_of([&] { Store::open_or_create(folder.path()); }), ErrorKind::store_invalid);
}

}  // namespace
}  // namespace retain::framework::testing
