// SPDX-License-Identifier: Apache-2.0
// Workload files, the operations they need, and the speed of matrix products of their shapes.
#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>

#include "bench/train_workload.h"
#include "framework/base/json.h"
#include "parallel/tensor/gemm.h"

namespace retain::bench {

namespace json = framework::json;
using models::LmmConfig;
using models::Sample;

namespace {

std::uint64_t splitmix64(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + 0x9E3779B97F4A7C15ULL * (index + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

/// One tile of 3 channels from byte `first` of the stream on.
at::Tensor picture(std::int64_t side, std::int64_t image) {
  at::Tensor tile_NCSS = at::empty({1, 3, side, side});
  const std::int64_t count = tile_NCSS.numel();
  auto* values = tile_NCSS.data_ptr<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto byte = static_cast<std::uint64_t>(image * count + i);
    const std::uint64_t word = splitmix64(static_cast<std::uint64_t>(1000 + side), byte / 8);
    values[i] = (static_cast<float>((word >> (8 * (byte % 8))) & 0xFF) / 255.0F - 0.5F) / 0.5F;
  }
  return tile_NCSS;
}

std::int64_t field(const json::object& object, const char* name) {
  return object.at(name).to_number<std::int64_t>();
}

Sample sample_of(const json::object& object, const LmmConfig& config) {
  Sample sample;
  sample.id = std::to_string(field(object, "id"));
  for (const json::value& id : object.at("input_ids").as_array()) sample.ids.push_back(id.to_number<std::int64_t>());
  sample.labels.assign(sample.ids.size(), -100);
  const std::int64_t begin = field(object, "answer_start"), end = begin + field(object, "answer_len");
  for (std::int64_t i = begin; i < end; ++i)
    sample.labels.at(static_cast<std::size_t>(i)) = sample.ids.at(static_cast<std::size_t>(i));
  models::ImageInput image;
  image.height = image.width = config.vision.image_size;
  image.tokens = field(object, "n_image_tokens");
  image.pixels = picture(config.vision.image_size, field(object, "image"));
  sample.images.push_back(std::move(image));
  return sample;
}

double median_seconds(const at::Tensor& a_MK, const at::Tensor& b_NK, int repetitions) {
  std::vector<double> seconds;
  parallel::multiply_transposed(a_MK, b_NK, {});
  for (int i = 0; i < repetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    parallel::multiply_transposed(a_MK, b_NK, {});
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

}  // namespace

Workload read_workload(const std::filesystem::path& folder, const std::string& name) {
  const json::value file = framework::read_json(folder / (name + ".json"));
  const json::object& root = file.as_object();
  Workload workload;
  workload.config = models::read_config_file(folder / std::string(root.at("config").as_string()));
  workload.micro_batch = field(root, "micro_batch");
  for (const json::value& sample : root.at("samples").as_array())
    workload.samples.push_back(sample_of(sample.as_object(), workload.config));
  return workload;
}

double useful_operations(const LmmConfig& config, const std::vector<Sample>& samples, const std::string& recipe) {
  const auto& text = config.text;
  const auto& vision = config.vision;
  double tokens = 0, pairs = 0, answers = 0;
  for (const Sample& sample : samples) {
    const auto length = static_cast<double>(sample.ids.size());
    tokens += length;
    pairs += length * (length + 1) / 2;
    answers += static_cast<double>(sample.answers());
  }
  const auto h = static_cast<double>(text.hidden), i = static_cast<double>(text.intermediate);
  const double q = static_cast<double>(text.heads * text.head_size),
               kv = static_cast<double>(text.kv_heads * text.head_size);
  const bool all = recipe == "llm", attention = all || recipe == "sa_proj", gate_up = all || recipe == "mlp_gate_up";

  const auto vh = static_cast<double>(vision.hidden), vi = static_cast<double>(vision.intermediate);
  const auto patches = static_cast<double>(vision.patches()), images = static_cast<double>(samples.size());
  const auto pixels = static_cast<double>(vision.channels * vision.patch_size * vision.patch_size);
  const double tower =
      2 * patches * (pixels * vh + static_cast<double>(vision.layers) * (4 * vh * vh + 2 * vh * vi) + vh * h + h * h);
  double total = images * (tower + static_cast<double>(vision.layers) * 4 * vh * patches * patches);

  const auto linear = [&](double in, double out, bool input_gradient, bool trained) {
    total += 2 * tokens * in * out * (1.0 + (input_gradient ? 1 : 0) + (trained ? 1 : 0));
  };
  bool upstream = all;  // a trained parameter lies below: its embedding, for llm
  for (std::int64_t layer = 0; layer < text.layers; ++layer) {
    linear(h, q + 2 * kv, upstream, attention);
    const bool inside = upstream || attention;
    total += 4 * q * pairs * (inside ? 3 : 1);
    linear(q, h, inside, attention);
    upstream = inside;
    linear(h, 2 * i, upstream, gate_up);
    upstream = upstream || gate_up;
    linear(i, h, upstream, all);
  }
  return total + 2 * answers * h * static_cast<double>(text.vocabulary) * (all ? 3 : 2);
}

double product_limit(const LmmConfig& config, at::ScalarType type, std::int64_t tokens) {
  const auto& text = config.text;
  const std::int64_t h = text.hidden, q = text.heads * text.head_size, kv = text.kv_heads * text.head_size;
  const int layers = static_cast<int>(text.layers);
  struct Shape {
    std::int64_t in, out;
    int count;
  };
  const Shape shapes[] = {{h, q, 2 * layers},
                          {h, kv, 2 * layers},
                          {h, text.intermediate, 2 * layers},
                          {text.intermediate, h, layers},
                          {h, text.vocabulary, 1}};
  double operations = 0, seconds = 0;
  for (const auto& [in, out, count] : shapes) {
    const at::Tensor x_TI = at::randn({tokens, in}, type), weight_OI = at::randn({out, in}, type);
    const at::Tensor gradient_TO = at::randn({tokens, out}, type);
    const int repetitions = count == 1 ? 3 : 7;
    const double step = median_seconds(x_TI, weight_OI, repetitions) +
                        median_seconds(gradient_TO, weight_OI.t(), repetitions) +
                        median_seconds(gradient_TO.t(), x_TI.t(), repetitions);
    seconds += count * step;
    operations += 6.0 * count * static_cast<double>(tokens * in * out);
  }
  return operations / seconds;
}

}  // namespace retain::bench
