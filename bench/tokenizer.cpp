// SPDX-License-Identifier: Apache-2.0
// Megabytes of text a second on one thread, and the time to load a vocabulary. RETAIN_TOKENIZER names a tokenizer's
// folder (otherwise the small one of the tests is used) and RETAIN_TEXTS a file of JSON lines {"text"};
// bench/tokenizer.py measures the Hugging Face library on the same two.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/text/tokenizer.h"

namespace retain::framework {
namespace {

const std::filesystem::path kFixtures = std::filesystem::path(RETAIN_FIXTURES) / "tokenizers" / "qwen";

std::filesystem::path tokenizer_folder() {
  const char* folder = std::getenv("RETAIN_TOKENIZER");
  return folder == nullptr ? kFixtures : std::filesystem::path(folder);
}

std::vector<std::string> texts() {
  std::vector<std::string> all;
  if (const char* file = std::getenv("RETAIN_TEXTS")) {
    std::istringstream lines(read_file(file));
    for (std::string line; std::getline(lines, line);) all.emplace_back(parse_json(line, file).at("text").as_string());
  } else {
    const auto cases = read_json(kFixtures / "cases.json");
    for (const auto& item : cases.as_array()) all.emplace_back(item.at("text").as_string());
  }
  return all;
}

void count_bytes(benchmark::State& state, const std::vector<std::string>& all) {
  std::size_t bytes = 0;
  for (const std::string& text : all) bytes += text.size();
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

void load(benchmark::State& state) {
  const auto folder = tokenizer_folder();
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::load(folder).size());
}

void encode(benchmark::State& state) {
  const auto tokenizer = Tokenizer::load(tokenizer_folder());
  const auto all = texts();
  for (auto _ : state)
    for (const std::string& text : all) benchmark::DoNotOptimize(tokenizer.encode(text));
  count_bytes(state, all);
}

void decode(benchmark::State& state) {
  const auto tokenizer = Tokenizer::load(tokenizer_folder());
  const auto all = texts();
  std::vector<std::vector<std::int64_t>> ids;
  for (const std::string& text : all) ids.push_back(tokenizer.encode(text));
  for (auto _ : state)
    for (const auto& list : ids) benchmark::DoNotOptimize(tokenizer.decode(list, false));
  count_bytes(state, all);
}

BENCHMARK(load)->Unit(benchmark::kMillisecond);
BENCHMARK(encode)->Unit(benchmark::kMillisecond);
BENCHMARK(decode)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace retain::framework

BENCHMARK_MAIN();
