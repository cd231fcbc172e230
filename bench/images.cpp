// SPDX-License-Identifier: Apache-2.0
// Pictures a second on one thread: decoding, resizing, and the whole way from bytes to a tower's input with the
// full-size settings of every kind of processor. bench/images.py measures Pillow and transformers on the same files.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>

#include "framework/base/json.h"
#include "framework/image/patches.h"
#include "framework/image/processor.h"

namespace retain::framework {
namespace {

constexpr std::int64_t kClipSide = 336;  // of LLaVA-1.5; the fixtures of these two classes are small

std::filesystem::path picture(const std::string& name) {
  return std::filesystem::path(RETAIN_FIXTURES) / "images" / name;
}

std::vector<std::uint8_t> bytes_of(const std::string& name) {
  const std::string text = read_file(picture(name));
  return {text.begin(), text.end()};
}

void count(benchmark::State& state) {
  state.counters["images/s"] = benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void decode(benchmark::State& state, const std::string& name) {
  const std::vector<std::uint8_t> bytes = bytes_of(name);
  for (auto _ : state) benchmark::DoNotOptimize(decode_image(bytes, name));
  count(state);
}

void preprocess(benchmark::State& state, const std::string& processor, const std::string& name) {
  const std::vector<std::uint8_t> bytes = bytes_of(name);
  const std::filesystem::path folder = picture("processors") / processor;
  if (makes_patches(folder)) {
    const PatchSettings settings = read_patch_settings(folder);
    for (auto _ : state) benchmark::DoNotOptimize(process_patches(decode_image(bytes, name), settings));
  } else {
    ProcessorSettings settings = read_processor_settings(folder);
    if (settings.pinpoints.empty()) settings.size = settings.cut = kClipSide;
    if (settings.pinpoints.empty() && settings.crop) settings.crop = kClipSide;
    for (auto _ : state) benchmark::DoNotOptimize(process_image(decode_image(bytes, name), settings));
  }
  count(state);
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

}  // namespace
}  // namespace retain::framework

int main(int argc, char** argv) {
  for (const std::string processor :
       {"llava_onevision_full", "llava_next_full", "llava_padded", "clip_cropped", "patches_hub"})
    for (const std::string name : {"photo.jpg", "wide.jpg", "tall_palette.png", "rgb.png"})
      benchmark::RegisterBenchmark(("preprocess/" + processor + "/" + name).c_str(), retain::framework::preprocess,
                                   processor, name);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
