// SPDX-License-Identifier: Apache-2.0
// Loading the ranks' shares of a model against reading as many bytes plainly, in one run, from a cold cache:
//
//     [mpirun -np N] bench_load MODEL [--pipeline N] [--rounds N]
//
// The ranks, all on one node, are the tensor ranks of the first of --pipeline stages. Between measurements the page
// cache forgets the files. "direct": each rank reads as many bytes as its share has, a stretch of its own of the files,
// with O_DIRECT in blocks of 8 MiB into one buffer; "plain": the same through the page cache; "load":
// models::load_parameters with its check for NaN and infinity.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "bench/page_cache.h"
#include "framework/base/error.h"
#include "framework/base/memory.h"
#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"
#include "parallel/comm/mpi_session.h"

namespace {

using namespace retain;
namespace fs = std::filesystem;

constexpr std::int64_t kBlock = std::int64_t{8} << 20;

class File {
 public:
  File(const fs::path& path, int flags) : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags)) {
    if (number_ < 0) throw framework::Error(framework::ErrorKind::io, "cannot open " + path.string());
  }
  ~File() { ::close(number_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

std::vector<fs::path> shards_of(const fs::path& model) {
  std::vector<fs::path> shards;
  for (const fs::directory_entry& entry : fs::directory_iterator(model))
    if (entry.path().extension() == ".safetensors") shards.push_back(entry.path());
  std::sort(shards.begin(), shards.end());
  return shards;
}

/// `bytes` of the files, one after another, from `first` on.
void read_plainly(const std::vector<fs::path>& files, std::int64_t first, std::int64_t bytes, int flags) {
  const std::unique_ptr<void, decltype(&std::free)> block(std::aligned_alloc(4096, kBlock), &std::free);
  for (const fs::path& path : files) {
    const auto size = static_cast<std::int64_t>(fs::file_size(path));
    const std::int64_t skipped = std::min(first, size);
    first -= skipped;
    const File file(path, flags);
    for (std::int64_t at = skipped / kBlock * kBlock; bytes > 0 && at < size; at += kBlock) {
      const ssize_t count = ::pread(file.number(), block.get(), kBlock, at);
      if (count < 0) throw framework::Error(framework::ErrorKind::io, "cannot read " + path.string());
      bytes -= count;
      if (count < kBlock) break;
    }
  }
}

/// From a cold cache, until the last rank is done.
double seconds_of(parallel::Communicator& world, const std::vector<fs::path>& files,
                  const std::function<void()>& work) {
  world.barrier();
  if (world.rank() == 0) std::for_each(files.begin(), files.end(), bench::forget);
  world.barrier();
  const auto start = std::chrono::steady_clock::now();
  work();
  world.barrier();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void compare(parallel::Communicator& world, const fs::path& model, int pipeline, int rounds) {
  const models::LmmConfig config = models::read_config(model);
  const auto partition = models::partition_for(config, pipeline);
  const auto table = models::build_table(config, world.size(), partition, config.stored_dtype);
  const std::vector<fs::path> shards = shards_of(model);
  std::vector<std::int64_t> shares(static_cast<std::size_t>(world.size()));
  for (const parallel::ParameterSpec& row : table.rows())
    for (int rank = 0; rank < world.size() && row.held_by(0); ++rank)
      shares[static_cast<std::size_t>(rank)] +=
          framework::elements_of(row.local_shape(rank)) * framework::size_of(row.dtype);
  const auto own = shares.begin() + world.rank();
  const std::int64_t share = *own, first = std::accumulate(shares.begin(), own, std::int64_t{0});

  std::vector<double> direct, plain, load;
  for (int round = 0; round < rounds; ++round) {
    direct.push_back(seconds_of(world, shards, [&] { read_plainly(shards, first, share, O_DIRECT); }));
    plain.push_back(seconds_of(world, shards, [&] { read_plainly(shards, first, share, 0); }));
    load.push_back(seconds_of(world, shards, [&] {
      const models::DirectorySource source(model, config);
      const auto held = models::load_parameters(source, table, world.rank(), 0, {.check_finite = true});
      if (source.bytes_read() != share || held.all().empty())
        throw framework::Error(framework::ErrorKind::internal, "loading read other bytes than the share's");
    }));
  }
  if (world.rank() != 0) return;
  const double mebibytes =
      static_cast<double>(std::accumulate(shares.begin(), shares.end(), std::int64_t{0})) / 1048576.0;
  std::printf("%d tensor rank(s), first of %d pipeline stage(s): %.0f MiB, %d rounds, medians\n", world.size(),
              pipeline, mebibytes, rounds);
  for (const auto& [name, times] : {std::pair{"direct", direct}, {"plain", plain}, {"load", load}})
    std::printf("%-8s %7.2f s  %6.0f MiB/s  %3.0f %% of direct, %3.0f %% of plain\n", name, median(times),
                mebibytes / median(times), 100 * median(direct) / median(times), 100 * median(plain) / median(times));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Loading against plain reading");
  std::string model;
  int pipeline = 1, rounds = 3;
  app.add_option("model", model, "Model directory")->required();
  app.add_option("--pipeline", pipeline)->check(CLI::PositiveNumber);
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  framework::keep_freed_pages();
  parallel::MpiSession mpi(&argc, &argv);
  try {
    compare(*mpi.open_world({}), model, pipeline, rounds);
  } catch (const std::exception& error) {
    mpi.abort_all(error.what());
  }
  return 0;
}
