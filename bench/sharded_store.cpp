// SPDX-License-Identifier: Apache-2.0
// Commit and read of a state of 3 GiB by all ranks: a model of 1 GiB in float32 with both moments, in the shapes of the peers'
// checkpoint benchmark, cut along rows over the ranks. Digests and fsync included; reading from a cold cache, into tensors that
// exist, as those of a run do.
//
//     [mpirun -np N] bench_sharded_store FOLDER [--rounds N]
//
// Prints one JSON object: seconds of every round.
#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/page_cache.h"
#include "framework/base/json.h"
#include "framework/base/memory.h"
#include "parallel/comm/mpi_session.h"
#include "parallel/mesh.h"
#include "parallel/sharded_store.h"

namespace {

using namespace retain;
namespace fs = std::filesystem;
namespace json = framework::json;

constexpr std::int64_t kWidth = 1024, kMlp = 2816, kLayers = 20, kElements = std::int64_t{1} << 28;

parallel::ParameterSpec row(const std::string& name, std::vector<std::int64_t> shape, int ranks) {
  parallel::ParameterSpec spec{name, shape, framework::DType::float32, 0, {}, {0}};
  for (int rank = 0; rank < ranks; ++rank) spec.cuts.push_back(parallel::even_share(shape.front(), ranks, rank));
  return spec;
}

/// kLayers layers, filled up to kElements by an embedding; three times.
std::vector<parallel::ParameterSpec> rows_of(int ranks) {
  std::vector<parallel::ParameterSpec> rows;
  for (const std::string state : {"p.", "m.", "v."}) {
    std::int64_t used = 0;
    const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
      rows.push_back(row(state + name, std::move(shape), ranks));
      used += rows.back().elements();
    };
    for (std::int64_t layer = 0; layer < kLayers; ++layer) {
      const std::string prefix = "l" + std::to_string(layer) + ".";
      for (const char* name : {"q", "o"}) add(prefix + name, {kWidth, kWidth});
      for (const char* name : {"k", "v"}) add(prefix + name, {kWidth / 4, kWidth});
      for (const char* name : {"gate", "up"}) add(prefix + name, {kMlp, kWidth});
      add(prefix + "down", {kWidth, kMlp});
      for (const char* name : {"n1", "n2"}) add(prefix + name, {kWidth});
    }
    add("embed", {(kElements - used) / kWidth, kWidth});
  }
  return rows;
}

parallel::ParameterSet parameters_of(const std::vector<parallel::ParameterSpec>& rows, int rank, bool filled) {
  at::Generator generator = at::detail::createCPUGenerator(1 + static_cast<std::uint64_t>(rank));
  std::vector<parallel::Parameter> held;
  for (const parallel::ParameterSpec& spec : rows) {
    at::Tensor value = at::empty(spec.local_shape(rank));
    filled ? value.normal_(0, 1, generator) : value.zero_();
    held.push_back({spec, std::move(value)});
  }
  return parallel::ParameterSet(std::move(held));
}

/// The page cache forgets a folder's files.
void forget(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bench::forget(entry.path());
}

double seconds_of(parallel::Communicator& world, const std::function<void()>& action) {
  world.barrier();
  const auto start = std::chrono::steady_clock::now();
  action();
  world.barrier();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void measure(const std::shared_ptr<parallel::Communicator>& world, const fs::path& folder, int rounds) {
  const parallel::Mesh mesh(world, {1, 1, world->size()});
  const std::vector<parallel::ParameterSpec> rows = rows_of(world->size());
  const parallel::ParameterTable table(rows);
  json::array writing, reading;
  for (int round = 0; round < rounds; ++round) {
    const fs::path root = folder / ("store" + std::to_string(round));
    std::string stage;
    {
      const parallel::ParameterSet parameters = parameters_of(rows, world->rank(), true);
      parallel::ShardedStore store(root, mesh, parallel::ShardedStore::Access::write);
      framework::StageDraft draft;
      draft.inputs = {{"round", round}};
      writing.emplace_back(seconds_of(*world, [&] { stage = store.commit(draft, arrays_of(table, parameters), "main", "bench"); }));
    }
    if (world->rank() == 0) forget(root);
    parallel::ParameterSet parameters = parameters_of(rows, world->rank(), false);
    {
      parallel::ShardedStore store(root, mesh, parallel::ShardedStore::Access::read);
      reading.emplace_back(seconds_of(*world, [&] { store.read(stage, parameters); }));
    }
    const parallel::ParameterSet expected = parameters_of(rows, world->rank(), true);
    if (!at::equal(parameters.at("p.l0.q"), expected.at("p.l0.q"))) throw framework::Error(framework::ErrorKind::internal, "read other bytes");
    world->barrier();
    if (world->rank() == 0) fs::remove_all(root);
  }
  const json::object result{{"ranks", world->size()}, {"bytes", 3 * 4 * kElements}, {"save_s", writing}, {"load_s", reading}};
  if (world->rank() == 0) std::printf("%s\n", json::serialize(result).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Commit and read by all ranks");
  std::string folder;
  int rounds = 3;
  app.add_option("folder", folder, "On the disk to measure")->required();
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  framework::keep_freed_pages();
  parallel::MpiSession mpi(&argc, &argv);
  try {
    measure(mpi.open_world({}), folder, rounds);
  } catch (const std::exception& error) {
    mpi.abort_all(error.what());
  }
  return 0;
}
