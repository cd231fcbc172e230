// SPDX-License-Identifier: Apache-2.0
// Loading a rank's share of a model against reading the same bytes plainly, in one run, from a cold cache:
//
//     bench_load MODEL [--tensor N] [--pipeline N] [--rounds N]
//
// Rank (0, 0) of that mesh, one process. Between measurements the page cache forgets the files. "direct" reads the
// shard files from their beginning with O_DIRECT in blocks of 8 MiB into one buffer, as many bytes as the share has;
// "plain" does so through the page cache; "load" is models::load_parameters with its check for NaN and infinity.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include "framework/base/error.h"
#include "framework/base/memory.h"
#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"

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

void forget(const std::vector<fs::path>& files) {
  for (const fs::path& path : files) {
    const File file(path, 0);
    ::posix_fadvise(file.number(), 0, 0, POSIX_FADV_DONTNEED);
  }
}

void read_plainly(const std::vector<fs::path>& files, std::int64_t bytes, int flags) {
  const std::unique_ptr<void, decltype(&std::free)> block(std::aligned_alloc(4096, kBlock), &std::free);
  for (const fs::path& path : files) {
    const File file(path, flags);
    for (std::int64_t at = 0; bytes > 0; at += kBlock) {
      const ssize_t count = ::pread(file.number(), block.get(), kBlock, at);
      if (count < 0) throw framework::Error(framework::ErrorKind::io, "cannot read " + path.string());
      bytes -= count;
      if (count < kBlock) break;
    }
  }
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void compare(const fs::path& model, int tensor, int pipeline, int rounds) {
  const models::LmmConfig config = models::read_config(model);
  const auto partition = models::partition_for(config, pipeline);
  const auto table = models::build_table(config, tensor, partition, config.stored_dtype);
  const std::vector<fs::path> shards = shards_of(model);
  std::int64_t share = 0;
  for (const parallel::ParameterSpec& row : table.rows())
    if (row.held_by(0)) share += framework::elements_of(row.local_shape(0)) * framework::size_of(row.dtype);

  std::vector<double> direct, plain, load;
  for (int round = 0; round < rounds; ++round) {
    forget(shards);
    direct.push_back(seconds_of([&] { read_plainly(shards, share, O_DIRECT); }));
    forget(shards);
    plain.push_back(seconds_of([&] { read_plainly(shards, share, 0); }));
    forget(shards);
    load.push_back(seconds_of([&] {
      const models::DirectorySource source(model, config);
      const auto held = models::load_parameters(source, table, 0, 0, {.check_finite = true});
      if (source.bytes_read() != share || held.all().empty())
        throw framework::Error(framework::ErrorKind::internal, "loading read other bytes than the share's");
    }));
  }
  const double mebibytes = static_cast<double>(share) / 1048576.0;
  std::printf("share of rank 0 of tensor %d x pipeline %d: %.0f MiB, %d rounds, medians\n", tensor, pipeline, mebibytes,
              rounds);
  for (const auto& [name, times] : {std::pair{"direct", direct}, {"plain", plain}, {"load", load}})
    std::printf("%-8s %7.2f s  %6.0f MiB/s  %3.0f %% of direct, %3.0f %% of plain\n", name, median(times),
                mebibytes / median(times), 100 * median(direct) / median(times), 100 * median(plain) / median(times));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Loading against plain reading");
  std::string model;
  int tensor = 1, pipeline = 1, rounds = 3;
  app.add_option("model", model, "Model directory")->required();
  app.add_option("--tensor", tensor)->check(CLI::PositiveNumber);
  app.add_option("--pipeline", pipeline)->check(CLI::PositiveNumber);
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  framework::keep_freed_pages();
  try {
    compare(model, tensor, pipeline, rounds);
  } catch (const framework::Error& error) {
    std::fprintf(stderr, "bench_load: %s\n", error.what());
    return 1;
  }
  return 0;
}
