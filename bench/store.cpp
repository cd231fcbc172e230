// SPDX-License-Identifier: Apache-2.0
// The store against the raw disk: writing and reading a stage of 512 MiB, digests and fsync included, beside the same bytes with
// direct I/O and nothing else. RETAIN_BENCH_FOLDER names the disk (default: the temporary folder).
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "framework/store/blend.h"
#include "framework/store/commit.h"
#include "framework/store/stage_reader.h"

namespace {

using namespace retain::framework;

constexpr std::int64_t kTensors = 8;
constexpr std::int64_t kTensorBytes = std::int64_t{64} << 20;
constexpr std::int64_t kBytes = kTensors * kTensorBytes;

std::filesystem::path folder() {
  const char* named = std::getenv("RETAIN_BENCH_FOLDER");
  return (named ? std::filesystem::path(named) : std::filesystem::temp_directory_path()) / ("retain-bench-" + std::to_string(::getpid()));
}

/// Page-aligned bytes that do not compress.
const std::byte* payload() {
  static const std::unique_ptr<std::byte, decltype(&std::free)> bytes = [] {
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(4096, kTensorBytes));
    std::uint64_t state = 88172645463325252ull;
    for (std::int64_t i = 0; i < kTensorBytes; ++i) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      memory[i] = static_cast<std::byte>(state);
    }
    return std::unique_ptr<std::byte, decltype(&std::free)>(memory, &std::free);
  }();
  return bytes.get();
}

void drop_from_cache(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  ::close(descriptor);
}

void digest(benchmark::State& state) {
  const std::span bytes(payload(), kTensorBytes);  // made outside the loop
  for (auto _ : state) benchmark::DoNotOptimize(digest_of(bytes));
  state.SetBytesProcessed(state.iterations() * kTensorBytes);
}

void raw_write(benchmark::State& state) {
  const auto path = folder();
  for (auto _ : state) {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
    for (std::int64_t at = 0; at < kBytes; at += kBlockBytes)
      if (::pwrite(descriptor, payload() + at % kTensorBytes, kBlockBytes, at) < 0) state.SkipWithError("direct write refused");
    ::fsync(descriptor);
    ::close(descriptor);
  }
  std::filesystem::remove(path);
  state.SetBytesProcessed(state.iterations() * kBytes);
}

void raw_read(benchmark::State& state) {
  const auto path = folder();
  const int out = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  for (std::int64_t at = 0; at < kBytes; at += kTensorBytes)
    if (::pwrite(out, payload(), kTensorBytes, at) < 0) state.SkipWithError("write refused");
  ::fsync(out);
  ::close(out);
  drop_from_cache(path);
  const std::unique_ptr<void, decltype(&std::free)> block(std::aligned_alloc(4096, kBlockBytes), &std::free);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  for (auto _ : state)
    for (std::int64_t at = 0; at < kBytes; at += kBlockBytes)
      if (::pread(descriptor, block.get(), kBlockBytes, at) < 0) state.SkipWithError("direct read refused");
  ::close(descriptor);
  std::filesystem::remove(path);
  state.SetBytesProcessed(state.iterations() * kBytes);
}

std::string write_model(const Store& store, const StoreLock& lock, std::vector<std::string> parents, std::int64_t turn) {
  StageDraft draft{std::move(parents), {{"turn", turn}}, {}, {}, {}};
  for (std::int64_t i = 0; i < kTensors; ++i) draft.arrays.push_back({"tensors/t" + std::to_string(i), DType::bfloat16, {kTensorBytes / 4096, 2048}});
  return write_stage(store, lock, std::move(draft), [turn](const ArraySpec&, std::uint64_t begin, std::span<std::byte> out) {
    std::copy_n(payload() + begin, out.size(), out.begin());
    out[0] = static_cast<std::byte>(turn);
  });
}

void stage_write(benchmark::State& state) {
  const auto path = folder();
  const Store store = Store::open_or_create(path);
  const StoreLock lock(store, "bench");
  std::int64_t turn = 0;
  for (auto _ : state) {
    const std::string id = write_model(store, lock, {}, ++turn);
    state.PauseTiming();
    std::filesystem::remove(store.stage_path(id));
    state.ResumeTiming();
  }
  std::filesystem::remove_all(path);
  state.SetBytesProcessed(state.iterations() * kBytes);
}

void stage_read(benchmark::State& state) {
  const auto path = folder();
  const Store store = Store::open_or_create(path);
  const std::string id = write_model(store, StoreLock(store, "bench"), {}, 0);
  std::vector<std::byte> tensor(kTensorBytes);
  for (auto _ : state) {
    state.PauseTiming();
    drop_from_cache(store.stage_path(id));
    state.ResumeTiming();
    const StageReader reader(store, id);
    for (const TensorInfo& info : reader.tensors()) reader.read(info.name, 0, tensor);
  }
  std::filesystem::remove_all(path);
  state.SetBytesProcessed(state.iterations() * kBytes);
}

void blend(benchmark::State& state) {
  std::vector<std::byte> out(kTensorBytes);
  for (auto _ : state) blend_elements(DType::bfloat16, 0.3, std::span(payload(), kTensorBytes), std::span(payload(), kTensorBytes), out);
  state.SetBytesProcessed(state.iterations() * kTensorBytes);
}

BENCHMARK(digest)->Unit(benchmark::kMillisecond);
BENCHMARK(blend)->Unit(benchmark::kMillisecond);
BENCHMARK(raw_write)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(stage_write)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(raw_read)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(stage_read)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
