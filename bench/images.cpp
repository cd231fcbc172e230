// SPDX-License-Identifier: Apache-2.0
// Pictures a second on one thread: decoding, resizing, and the whole way from bytes to tiles at the settings of
// LLaVA-OneVision (384-pixel tiles, up to 6 × 6). bench/images.py measures Pillow and transformers on the same files.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>

#include "framework/base/json.h"
#include "framework/image/processor.h"

namespace retain::framework {
namespace {

std::filesystem::path picture(const std::string& name) {
  return std::filesystem::path(RETAIN_FIXTURES) / "images" / name;
}

std::vector<std::uint8_t> bytes_of(const std::string& name) {
  const std::string text = read_file(picture(name));
  return {text.begin(), text.end()};
}

void decode(benchmark::State& state, const std::string& name) {
  const std::vector<std::uint8_t> bytes = bytes_of(name);
  for (auto _ : state) benchmark::DoNotOptimize(decode_image(bytes, name));
  state.counters["images/s"] = benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void preprocess(benchmark::State& state, const std::string& name) {
  const std::vector<std::uint8_t> bytes = bytes_of(name);
  const ProcessorSettings settings = read_processor_settings(picture("processors/llava_onevision_full"));
  for (auto _ : state) benchmark::DoNotOptimize(process_image(decode_image(bytes, name), settings));
  state.counters["images/s"] = benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void shrink(benchmark::State& state) {
  const Image image{state.range(0), state.range(1),
                    std::vector<std::uint8_t>(static_cast<std::size_t>(state.range(0) * state.range(1) * 3), 90)};
  for (auto _ : state) benchmark::DoNotOptimize(resize(image, 384, 384));
  state.counters["pixels/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * state.range(0) * state.range(1)), benchmark::Counter::kIsRate);
}

BENCHMARK_CAPTURE(decode, photo_jpg, "photo.jpg");
BENCHMARK_CAPTURE(decode, wide_jpg, "wide.jpg");
BENCHMARK_CAPTURE(decode, tall_palette_png, "tall_palette.png");
BENCHMARK_CAPTURE(decode, photo_webp, "photo.webp");
BENCHMARK(shrink)->Args({480, 640})->Args({768, 1024})->Args({3000, 4000});
BENCHMARK_CAPTURE(preprocess, photo_jpg, "photo.jpg");
BENCHMARK_CAPTURE(preprocess, wide_jpg, "wide.jpg");
BENCHMARK_CAPTURE(preprocess, tall_palette_png, "tall_palette.png");
BENCHMARK_CAPTURE(preprocess, rgb_png, "rgb.png");

}  // namespace
}  // namespace retain::framework

BENCHMARK_MAIN();
