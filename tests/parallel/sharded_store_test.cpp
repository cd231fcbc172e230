// SPDX-License-Identifier: Apache-2.0
// What any mesh writes any other mesh reads, bit for bit; failures on one rank reach all.
#include "parallel/sharded_store.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "framework/base/error.h"
#include "framework/store/progress.h"
#include "framework/store/refs.h"
#include "framework/store/verify.h"
#include "parallel/agreement.h"
#include "parallel/comm/mpi_communicator.h"
#include "parallel/shard_geometry.h"
#include "tests/support/scratch.h"

namespace retain::parallel {
namespace {

using framework::DType;
using framework::Error;
using framework::ErrorKind;

std::vector<Range> even_cuts(std::int64_t count, int parts) {
  std::vector<Range> cuts;
  for (int part = 0; part < parts; ++part) cuts.push_back(even_share(count, parts, part));
  return cuts;
}

/// `heads` key-value heads over `parts` tensor ranks: shared where there are more ranks than heads.
std::vector<Range> head_cuts(std::int64_t heads, std::int64_t head_size, int parts) {
  if (parts <= heads) {
    std::vector<Range> cuts = even_cuts(heads, parts);
    for (Range& cut : cuts) cut = {cut.begin * head_size, cut.end * head_size};
    return cuts;
  }
  std::vector<Range> cuts;
  for (int part = 0; part < parts; ++part) {
    const std::int64_t head = part * heads / parts;
    cuts.push_back({head * head_size, (head + 1) * head_size});
  }
  return cuts;
}

/// Every way a parameter can be held: cut along either dimension evenly and not, shared heads, replicated, tied, scalar, larger
/// than a chunk, empty, fused blocks cut alike.
ParameterTable table_for(const MeshShape& mesh) {
  const int last = mesh.pipeline - 1;
  const int middle = mesh.pipeline / 2;
  std::vector<ParameterSpec> rows;
  rows.push_back({"vision.patch.weight", {24, 3, 5, 5}, DType::float32, 0, even_cuts(24, mesh.tensor), {0}});
  rows.push_back({"vision.qkv.weight", {3 * 20, 7}, DType::bfloat16, 0, even_cuts(20, mesh.tensor), {0}, 3});
  rows.push_back({"vision.qkv.wide", {5, 2 * 9}, DType::float32, 1, even_cuts(9, mesh.tensor), {0}, 2});
  std::vector<int> tied{0};
  if (last > 0) tied.push_back(last);
  rows.push_back({"language.embed_tokens.weight", {203, 96}, DType::bfloat16, 0, even_cuts(203, mesh.tensor), tied});
  rows.push_back({"language.layers.0.k_proj.weight", {2 * 12, 96}, DType::bfloat16, 0, head_cuts(2, 12, mesh.tensor), {middle}});
  rows.push_back({"language.layers.0.k_proj.bias", {2 * 12}, DType::float32, 0, head_cuts(2, 12, mesh.tensor), {middle}});
  rows.push_back({"language.layers.0.o_proj.weight", {130, 301}, DType::float32, 1, even_cuts(301, mesh.tensor), {middle}});
  rows.push_back({"language.layers.0.large.weight", {1100, 9001}, DType::bfloat16, 1, even_cuts(9001, mesh.tensor), {middle}});
  rows.push_back({"language.layers.0.tall.weight", {9001, 60}, DType::float32, 0, even_cuts(9001, mesh.tensor), {last}});
  rows.push_back({"language.layers.0.norm.weight", {96}, DType::float32, -1, {}, {last}});
  rows.push_back({"language.scale", {}, DType::float32, -1, {}, {last}});
  rows.push_back({"language.none", {0, 4}, DType::float32, -1, {}, {0}});
  return ParameterTable(rows);
}

/// The same numbers on every rank and mesh, exact in both dtypes.
at::Tensor global_value(const ParameterSpec& spec, int variant) {
  static std::map<std::string, at::Tensor> made;  // the same few arrays are compared on every mesh
  at::Tensor& known = made[spec.name + framework::to_string(spec.shape) + std::string(framework::name_of(spec.dtype)) + std::to_string(variant)];
  if (known.defined()) return known;
  const auto seed = static_cast<double>(std::hash<std::string>{}(spec.name) % 61 + static_cast<std::size_t>(variant));
  const at::Tensor flat = at::arange(spec.elements(), at::kDouble).add(seed).remainder(251.0).sub(125.0).div(64.0);
  known = flat.reshape(spec.shape).to(spec.dtype == DType::bfloat16 ? at::kBFloat16 : at::kFloat);
  return known;
}

at::Tensor slice_of(const at::Tensor& whole, const ParameterSpec& spec, int tensor) {
  if (spec.cut_dimension < 0) return whole.contiguous().clone();
  const Range& cut = spec.cuts.at(static_cast<std::size_t>(tensor));
  std::vector<at::Tensor> blocks;
  for (const at::Tensor& block : whole.chunk(spec.cut_blocks, spec.cut_dimension))
    blocks.push_back(block.narrow(spec.cut_dimension, cut.begin, cut.size()));
  return at::cat(blocks, spec.cut_dimension).contiguous();
}

ParameterSet parameters_for(const Mesh& mesh, const ParameterTable& table, int variant, bool filled) {
  std::vector<Parameter> held;
  for (const ParameterSpec& spec : table.rows()) {
    if (!spec.held_by(mesh.position().pipeline)) continue;
    at::Tensor value = slice_of(global_value(spec, variant), spec, mesh.position().tensor);
    held.push_back({spec, filled ? value : at::full_like(value, -77)});
  }
  return ParameterSet(std::move(held));
}

void expect_values(const ParameterSet& parameters, const Mesh& mesh, int variant) {
  for (const Parameter& parameter : parameters.all())
    EXPECT_TRUE(at::equal(parameter.value, slice_of(global_value(parameter.spec, variant), parameter.spec, mesh.position().tensor)))
        << parameter.spec.name << " on " << to_string(mesh.shape());
}

std::vector<MeshShape> shapes_of(int ranks) {
  std::vector<MeshShape> shapes;
  for (int tensor = 1; tensor <= ranks; ++tensor)
    for (int pipeline = 1; tensor * pipeline <= ranks; ++pipeline)
      if (ranks % (tensor * pipeline) == 0) shapes.push_back({ranks / (tensor * pipeline), pipeline, tensor});
  return shapes;
}

bool selected(const std::string& name) { return name.find("_proj") != std::string::npos || name.find("tall") != std::string::npos; }

/// One folder for all ranks.
class ShardedStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world = open_world({.timeout = std::chrono::seconds(60)});
    if (world->rank() == 0) scratch = std::make_unique<tests::Scratch>();
    root = world->broadcast_text(scratch ? (scratch->path() / "store").string() : std::string(), 0);
  }
  void TearDown() override { world->barrier(); }

  /// Runs `action` on a mesh of the first shape.ranks() ranks; the others wait.
  void on_mesh(const MeshShape& shape, const std::function<void(const Mesh&)>& action) {
    const bool inside = world->rank() < shape.ranks();
    std::shared_ptr<Communicator> part = world->split(inside ? 0 : 1, world->rank(), "world");
    if (inside) action(Mesh(part, shape));
    world->barrier();
  }

  std::string commit(const Mesh& mesh, ShardedStore& store, std::vector<std::string> parents, int variant, bool all) {
    const ParameterTable table = table_for(mesh.shape());
    const ParameterSet parameters = parameters_for(mesh, table, variant, true);
    framework::StageDraft draft;
    draft.parents = std::move(parents);
    draft.inputs = {{"variant", variant}};
    return store.commit(draft, arrays_of(table, parameters, all ? std::function<bool(const std::string&)>() : selected), "main", "test");
  }

  std::shared_ptr<Communicator> world;
  std::unique_ptr<tests::Scratch> scratch;
  std::filesystem::path root;
};

TEST_F(ShardedStoreTest, EveryMeshReadsWhatEveryMeshWrote) {
  std::string id;
  for (const MeshShape& writing : shapes_of(world->size())) {
    std::string written;
    on_mesh(writing, [&](const Mesh& mesh) {
      ShardedStore store(root, mesh, ShardedStore::Access::write);
      const std::string base = commit(mesh, store, {}, 1, true);
      written = commit(mesh, store, {base}, 2, false);
    });
    written = world->broadcast_text(written, 0);
    if (id.empty()) id = written;
    EXPECT_EQ(written, id) << "the id depends on the mesh " << to_string(writing);
  }
  for (int ranks = 1; ranks <= world->size(); ranks *= 2)
    for (const MeshShape& reading : shapes_of(ranks))
      on_mesh(reading, [&](const Mesh& mesh) {
        ShardedStore store(root, mesh, ShardedStore::Access::read);
        ParameterSet parameters = parameters_for(mesh, table_for(reading), 0, false);
        store.read(store.resolve("main"), parameters);
        for (const Parameter& parameter : parameters.all())
          EXPECT_TRUE(at::equal(parameter.value, slice_of(global_value(parameter.spec, selected(parameter.spec.name) ? 2 : 1),
                                                          parameter.spec, mesh.position().tensor)))
              << parameter.spec.name << " on " << to_string(reading);
      });
  if (world->rank() == 0) {
    const auto report = framework::verify(framework::Store::open(root));
    EXPECT_TRUE(report.clean()) << report.problems.front();
    EXPECT_EQ(report.stages, 2U);
  }
}

TEST_F(ShardedStoreTest, TensorRanksReadTheFileOnceTogether) {
  on_mesh({1, 1, world->size()}, [&](const Mesh& mesh) {
    ShardedStore store(root, mesh, ShardedStore::Access::write);
    const std::string id = commit(mesh, store, {}, 1, true);
    ParameterSet parameters = parameters_for(mesh, table_for(mesh.shape()), 0, false);
    store.read(id, parameters);
    expect_values(parameters, mesh, 1);
    at::Tensor bytes = at::tensor({store.bytes_read(), store.bytes_written()}, at::kLong);
    mesh.world().all_reduce(bytes);
    std::int64_t all = 0;
    const ParameterTable table = table_for(mesh.shape());
    for (const ParameterSpec& spec : table.rows()) all += spec.bytes();
    EXPECT_EQ(bytes[1].item<std::int64_t>(), all);
    // Neighbouring slices share a block at their border, and small tensors are read by everybody.
    const std::int64_t slack = (mesh.shape().tensor - 1) * (4 * (std::int64_t{4} << 20));
    EXPECT_GE(bytes[0].item<std::int64_t>(), all);
    EXPECT_LE(bytes[0].item<std::int64_t>(), all + slack);
  });
}

std::vector<ShardedArray> optimizer_arrays(const Mesh& mesh, const ParameterTable& table, int variant, bool filled) {
  std::vector<ShardedArray> arrays;
  for (ParameterSpec spec : table.rows()) {
    if (!selected(spec.name)) continue;
    const bool held = spec.held_by(mesh.position().pipeline);
    spec.dtype = DType::float32;
    ShardedArray array{"optimizer/exp_avg/" + spec.name, spec, {}, {}, {}, {}};
    array.data_share = [&mesh](std::int64_t elements, int data) { return even_share(elements, mesh.shape().data, data); };
    if (held) {
      const at::Tensor slice = slice_of(global_value(spec, variant), spec, mesh.position().tensor).reshape({-1});
      const Range share = even_share(slice.numel(), mesh.shape().data, mesh.position().data);
      array.local = slice.narrow(0, share.begin, share.size()).clone();
      if (!filled) array.local.fill_(-5);
    }
    arrays.push_back(std::move(array));
  }
  return arrays;
}

TEST_F(ShardedStoreTest, CheckpointsOfShardedOptimizersReshard) {
  const std::vector<MeshShape> shapes = shapes_of(world->size());
  for (const MeshShape& writing : shapes) {
    on_mesh(writing, [&](const Mesh& mesh) {
      ShardedStore store(root, mesh, ShardedStore::Access::write);
      framework::StageDraft draft;
      draft.inputs = {{"position", 12}};
      for (const std::int64_t step : {1, 2, 3})
        store.put_progress("run", step, draft, optimizer_arrays(mesh, table_for(writing), static_cast<int>(step), true), 2);
      EXPECT_EQ(framework::progress_steps(store.store(), "run"), (std::vector<std::int64_t>{2, 3}));
    });
    const MeshShape reading = shapes[(shapes.size() - 1) / 2];
    on_mesh(reading, [&](const Mesh& mesh) {
      ShardedStore store(root, mesh, ShardedStore::Access::write);
      const auto progress = store.latest_progress("run");
      ASSERT_TRUE(progress);
      EXPECT_EQ(progress->step, 3);
      EXPECT_EQ(progress->inputs.at("position").as_int64(), 12);
      auto arrays = optimizer_arrays(mesh, table_for(reading), 3, false);
      const auto expected = optimizer_arrays(mesh, table_for(reading), 3, true);
      store.read_progress("run", 3, arrays);
      for (std::size_t i = 0; i < arrays.size(); ++i) {
        if (!arrays[i].local.defined()) continue;
        EXPECT_TRUE(at::equal(arrays[i].local, expected[i].local)) << arrays[i].path;
      }
      store.clear_progress("run");
      EXPECT_FALSE(store.latest_progress("run"));
    });
  }
}

TEST_F(ShardedStoreTest, FetchAndTakeHoldOneArrayAtATime) {
  on_mesh({world->size(), 1, 1}, [&](const Mesh& mesh) {
    const ParameterTable table = table_for(mesh.shape());
    ShardedStore store(root, mesh, ShardedStore::Access::write);
    std::vector<ShardedArray> arrays = optimizer_arrays(mesh, table, 4, true);
    std::vector<at::Tensor> given(arrays.size());
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      arrays[i].fetch = [local = std::exchange(arrays[i].local, {})] { return local.clone(); };
      arrays[i].take = [&given, i](const at::Tensor& filled) { given[i] = filled.clone(); };
    }
    store.put_progress("run", 7, {}, arrays, 1);
    store.read_progress("run", 7, arrays);
    const auto expected = optimizer_arrays(mesh, table, 4, true);
    for (std::size_t i = 0; i < arrays.size(); ++i) EXPECT_TRUE(at::equal(given[i], expected[i].local)) << arrays[i].path;
  });
}

TEST_F(ShardedStoreTest, WhatAnotherBranchHoldsBecomesALink) {
  const std::string twin = "tensors/language.layers.0.k_proj.weight", near = "tensors/language.layers.0.tall.weight";
  on_mesh({1, 1, world->size()}, [&](const Mesh& mesh) {
    const ParameterTable table = table_for(mesh.shape());
    ShardedStore store(root, mesh, ShardedStore::Access::write);
    const std::string base = commit(mesh, store, {}, 1, true);
    const ParameterSet trained = parameters_for(mesh, table, 2, true);
    std::string ids[3];
    for (int branch = 0; branch < 3; ++branch) {
      store.write_in_background(branch == 2);
      // The second branch differs in the last element of one tensor and in the whole of another; the third is the first again.
      ParameterSet parameters = parameters_for(mesh, table, 2, true);
      if (branch == 1)
        for (Parameter& parameter : parameters.all()) {
          if ("tensors/" + parameter.spec.name == near && mesh.tensor().rank() == mesh.shape().tensor - 1) parameter.value.view({-1})[-1] = 77;
          if (parameter.spec.name.ends_with("o_proj.weight")) parameter.value.fill_(5);
        }
      framework::StageDraft draft;
      draft.parents = {base};
      draft.inputs = {{"branch", branch}};
      const std::int64_t before = store.bytes_written();
      ids[branch] = store.commit(draft, arrays_of(table, parameters, selected), "b" + std::to_string(branch), "test");
      store.settle();
      if (branch == 2) EXPECT_EQ(store.bytes_written(), before) << "nothing was new";
    }
    const framework::StageReader second(store.store(), ids[1]), third(store.store(), ids[2]);
    const auto holder = [](const framework::StageReader& reader, const std::string& path) { return reader.manifest().find(path)->holder; };
    EXPECT_EQ(holder(second, twin), ids[0]);
    EXPECT_EQ(holder(second, near), "") << "begins alike and ends otherwise";
    EXPECT_EQ(holder(second, "tensors/language.layers.0.o_proj.weight"), "");
    for (const framework::ArrayEntry& array : third.manifest().arrays) EXPECT_FALSE(array.here()) << array.spec.path;
    ParameterSet parameters = parameters_for(mesh, table, 0, false);
    store.read(ids[2], parameters);
    for (const Parameter& parameter : parameters.all())
      if (selected(parameter.spec.name)) EXPECT_TRUE(at::equal(parameter.value, trained.at(parameter.spec.name))) << parameter.spec.name;
    EXPECT_TRUE(framework::verify(store.store()).clean());
  });
}

/// Fails every write on one rank.
class BrokenDisk : public framework::FileOperations {
 public:
  explicit BrokenDisk(bool broken) : broken_(broken) {}
  std::size_t write_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset, const Path& path) override {
    if (broken_ && bytes.size() > 4096) throw Error(ErrorKind::io, "cannot write " + path.string() + ": no space left");
    return FileOperations::write_at(descriptor, bytes, offset, path);
  }
  std::size_t write_direct_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset, const Path& path) override {
    if (broken_) throw Error(ErrorKind::io, "cannot write " + path.string() + ": no space left");
    return FileOperations::write_direct_at(descriptor, bytes, offset, path);
  }

 private:
  bool broken_;
};

TEST_F(ShardedStoreTest, AFailureOnOneRankIsThrownOnAllAndLeavesTheStoreClean) {
  on_mesh({1, 1, world->size()}, [&](const Mesh& mesh) {
    {
      ShardedStore store(root, mesh, ShardedStore::Access::write);
      commit(mesh, store, {}, 1, true);
    }
    BrokenDisk disk(world->rank() == std::min(1, world->size() - 1));  // who writes a large piece in any case
    ShardedStore store(root, mesh, ShardedStore::Access::write, "test", disk);
    try {
      commit(mesh, store, {}, 2, true);
      ADD_FAILURE() << "the commit succeeded";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::io) << error.what();
    }
    EXPECT_EQ(store.store().stage_ids().size(), 1U);
    EXPECT_TRUE(framework::verify(store.store()).clean());
  });
}

TEST_F(ShardedStoreTest, ASecondWriterIsRefusedOnEveryRank) {
  on_mesh({1, 1, world->size()}, [&](const Mesh& mesh) {
    ShardedStore first(root, mesh, ShardedStore::Access::write, "the first run");
    try {
      ShardedStore second(root, mesh, ShardedStore::Access::write);
      ADD_FAILURE() << "two writers";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::store_locked);
      EXPECT_NE(std::string(error.what()).find("the first run"), std::string::npos) << error.what();
    }
    EXPECT_NO_THROW(ShardedStore(root, mesh, ShardedStore::Access::read));
  });
}

TEST_F(ShardedStoreTest, DamageAndWrongShapesAreNamedOnEveryRank) {
  on_mesh({1, 1, world->size()}, [&](const Mesh& mesh) {
    ShardedStore store(root, mesh, ShardedStore::Access::write);
    const std::string id = commit(mesh, store, {}, 1, true);
    ParameterTable other({{"language.scale", {3}, DType::float32, -1, {}, {0}}});
    ParameterSet wrong = parameters_for(mesh, other, 0, false);
    try {
      store.read(id, wrong);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::checkpoint_shape_mismatch);
    }
    if (mesh.world().rank() == 0) {
      const framework::StageReader reader(store.store(), id);
      const auto offset = static_cast<std::streamoff>(reader.place("tensors/language.layers.0.large.weight").array->offset);
      std::fstream file(store.store().stage_path(id), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(offset + 5'000'000).put('\x7f');
    }
    mesh.world().barrier();
    ParameterSet parameters = parameters_for(mesh, table_for(mesh.shape()), 0, false);
    try {
      store.read(id, parameters);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::store_digest);
      EXPECT_NE(std::string(error.what()).find("block 1 of tensors/language.layers.0.large.weight"), std::string::npos) << error.what();
    }
  });
}

TEST(ShardGeometry, LocalAndGlobalPositionsRiseTogether) {
  const ParameterSpec spec{"x", {4, 6, 5}, DType::float32, 1, {{0, 2}, {1, 4}, {4, 6}}, {0}};
  for (int rank = 0; rank < 3; ++rank) {
    const ShardGeometry part(spec, rank, {3, ShardGeometry(spec, rank).slice_elements() - 2});
    std::vector<std::int64_t> positions;
    for (std::int64_t outer = 0; outer < 4; ++outer)
      for (std::int64_t row = spec.cuts[static_cast<std::size_t>(rank)].begin; row < spec.cuts[static_cast<std::size_t>(rank)].end; ++row)
        for (std::int64_t inner = 0; inner < 5; ++inner) positions.push_back((outer * 6 + row) * 5 + inner);
    positions = {positions.begin() + 3, positions.end() - 2};
    EXPECT_EQ(part.global_hull(), (Range{positions.front(), positions.back() + 1}));
    for (std::int64_t begin = 0; begin <= 120; begin += 7)
      for (std::int64_t end = begin; end <= 120; end += 11) {
        std::vector<std::int64_t> expected;
        for (const std::int64_t position : positions)
          if (position >= begin && position < end) expected.push_back(position);
        std::vector<std::int64_t> found;
        std::int64_t local = part.local_range({begin, end}).begin;
        EXPECT_EQ(part.local_range({begin, end}).size(), static_cast<std::int64_t>(expected.size()));
        part.for_each_run({begin, end}, [&](std::int64_t at, std::int64_t global, std::int64_t count) {
          EXPECT_EQ(at, local);
          local += count;
          for (std::int64_t i = 0; i < count; ++i) found.push_back(global + i);
        });
        EXPECT_EQ(found, expected);
      }
  }
}

TEST(ShardGeometry, BlocksAreCutAlike) {
  const ParameterSpec spec{"qkv", {12, 2}, DType::float32, 0, {{0, 1}, {1, 1}, {1, 4}}, {0}, 3};
  EXPECT_EQ(spec.local_shape(2), (std::vector<std::int64_t>{9, 2}));
  std::vector<std::int64_t> found;
  ShardGeometry(spec, 2).for_each_run({0, 24}, [&](std::int64_t at, std::int64_t global, std::int64_t count) {
    EXPECT_EQ(at, static_cast<std::int64_t>(found.size()));
    for (std::int64_t i = 0; i < count; ++i) found.push_back(global + i);
  });
  EXPECT_EQ(found, (std::vector<std::int64_t>{2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 23}));
  EXPECT_EQ(ShardGeometry(spec, 2).global_of(7), 11);
  EXPECT_EQ(ShardGeometry(spec, 1).elements(), 0);
  const at::Tensor whole = at::arange(24).reshape({12, 2});
  EXPECT_TRUE(at::equal(spec.slice_of(whole, 2).flatten(), at::tensor(found, at::kLong)));
  EXPECT_THROW(ParameterTable({{"odd", {10, 2}, DType::float32, 0, {{0, 1}, {1, 3}}, {0}, 3}}), framework::Error);
  EXPECT_THROW(ParameterTable({{"shared", {12, 2}, DType::float32, 0, {{0, 3}, {2, 4}}, {0}, 3}}), framework::Error);
}

}  // namespace
}  // namespace retain::parallel
