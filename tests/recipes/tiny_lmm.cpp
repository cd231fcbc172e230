// SPDX-License-Identifier: Apache-2.0
// Weights and records from named random streams.
#include "tests/recipes/tiny_lmm.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "framework/image/anyres.h"
#include "models/lmm/family.h"

namespace retain::testing {

namespace {

constexpr std::int64_t kVocabulary = 61;

at::Tensor normal(const std::string& stream, const std::vector<std::int64_t>& shape, double scale, double mean = 0) {
  framework::Random random(11, stream);
  at::Tensor values = at::empty(shape);
  float* data = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) data[i] = static_cast<float>(mean + scale * random.normal());
  return values;
}

/// A picture of free size: 1 to 3 by 1 to 4 squares of patches.
models::ImageInput patches_of(const models::LmmConfig& config, std::int64_t record, framework::Random& random, bool with_pixels) {
  const models::WindowedVision& windowed = *config.vision.windowed;
  models::ImageInput image;
  image.grid = {1, windowed.merge * (1 + random.below(3)), windowed.merge * (1 + random.below(4))};
  image.patches = image.grid[1] * image.grid[2];
  image.tokens = image.patches / (windowed.merge * windowed.merge);
  const std::int64_t values = 3 * windowed.frames * config.vision.patch_size * config.vision.patch_size;
  if (with_pixels) image.pixels = normal("pixels/" + std::to_string(record), {image.patches, values}, 0.5);
  return image;
}

models::ImageInput image_of(const models::LmmConfig& config, std::int64_t record, framework::Random& random, bool with_pixels) {
  if (config.vision.windowed) return patches_of(config, record, random, with_pixels);
  models::ImageInput image;
  image.height = 5 + random.below(40);
  image.width = 5 + random.below(40);
  framework::AnyresSettings settings{config.pinpoints, config.vision.image_size, config.vision.grid(), config.max_tiles,
                                     config.image_newline};
  const framework::AnyresPlan plan = config.pinpoints.empty() ? framework::plan_single_tile(settings)
                                                              : framework::plan_anyres(image.height, image.width, settings);
  image.tokens = plan.tokens;
  const std::int64_t side = config.vision.image_size;
  if (with_pixels) image.pixels = normal("pixels/" + std::to_string(record), {plan.tiles(), 3, side, side}, 0.5);
  return image;
}

}  // namespace

models::LmmConfig tiny_config(bool tied_head) {
  models::LmmConfig config;
  config.vision.hidden = 16;
  config.vision.intermediate = 20;
  config.vision.layers = 2;
  config.vision.heads = 2;
  config.vision.image_size = 10;
  config.vision.patch_size = 3;
  config.text.hidden = 32;
  config.text.intermediate = 44;
  config.text.layers = 5;
  config.text.heads = 4;
  config.text.kv_heads = 2;
  config.text.head_size = 8;
  config.text.vocabulary = kVocabulary;
  config.text.max_positions = 512;
  config.text.tied_head = tied_head;
  config.image_token = kVocabulary - 1;
  for (std::int64_t rows = 1; rows <= 3; ++rows)
    for (std::int64_t cols = 1; cols <= 3; ++cols) config.pinpoints.emplace_back(10 * rows, 10 * cols);
  config.max_tiles = 4;
  config.eos_tokens = {1};
  return config;
}

models::LmmConfig tiny_qwen_config() {
  models::LmmConfig config = tiny_config(true);
  config.family = "qwen2_5_vl";
  config.pinpoints.clear();
  config.image_newline = false;
  config.text.rope_sections = {1, 1, 2};
  config.vision.layers = 3;
  config.vision.patch_size = 2;
  config.vision.image_size = 16;
  config.vision.has_post_norm = false;
  config.vision.windowed = models::WindowedVision{.frames = 2, .merge = 2, .window = 8, .full_layers = {1}};
  return config;
}

models::LmmConfig tiny_next_config() {
  models::LmmConfig config = tiny_config();
  config.family = "llava_next";
  config.vision.kind = "clip";
  config.vision.layers = 3;
  config.vision.unused_layers = 1;
  config.vision.activation = models::Activation::quick_gelu;
  config.vision.class_token = true;
  config.vision.pre_norm = true;
  config.vision.patch_bias = false;
  config.text.kind = "llama";
  config.text.qkv_bias = false;
  config.text.rope_scaling =
      models::RopeScaling{.kind = models::RopeScaling::Kind::llama3, .factor = 8, .original_positions = 64};
  config.max_tiles.reset();
  return config;
}

models::LmmConfig tiny_llava_1_5_config() {
  models::LmmConfig config = tiny_next_config();
  config.family = "llava_1_5";
  config.pinpoints.clear();
  config.image_newline = false;
  config.text.rope_scaling = {};
  return config;
}

std::map<std::string, at::Tensor> tiny_weights(const models::LmmConfig& config) {
  const auto table = models::build_table(config, 1, models::partition_for(config, 1), framework::DType::float32);
  std::map<std::string, at::Tensor> weights;
  for (const parallel::ParameterSpec& row : table.rows()) {
    const bool is_norm = row.name.find("norm") != std::string::npos || row.name.find(".ln_q.") != std::string::npos;
    const bool is_norm_weight = is_norm && row.name.ends_with(".weight");
    const double fan_in = static_cast<double>(row.elements()) / static_cast<double>(row.shape.front());
    const double scale = row.shape.size() > 1 ? 1 / std::sqrt(fan_in) : 0.1;
    weights[row.name] = normal("weights/" + row.name, row.shape, scale, is_norm_weight ? 1 : 0);
  }
  return weights;
}

at::Tensor slice_of(const parallel::ParameterSpec& spec, const at::Tensor& whole, int tensor_rank) {
  return spec.slice_of(whole, tensor_rank);
}

std::unique_ptr<models::Lmm> tiny_model(const models::LmmConfig& config, const parallel::Mesh& mesh,
                                        const std::map<std::string, at::Tensor>& weights, bool recompute,
                                        framework::DType dtype, const recipes::ModelMethod& with) {
  const parallel::PipelinePartition partition = models::partition_for(config, mesh.shape().pipeline);
  parallel::ParameterTable table = models::build_table(config, mesh.shape().tensor, partition, dtype);
  std::vector<parallel::Parameter> parameters;
  for (const parallel::ParameterSpec& row : table.rows())
    if (row.held_by(mesh.position().pipeline)) {
      const at::ScalarType type = dtype == framework::DType::bfloat16 ? at::kBFloat16 : at::kFloat;
      const at::Tensor slice = slice_of(row, weights.at(row.name), mesh.position().tensor);
      parameters.push_back({row, slice.to(type, /*non_blocking=*/false, /*copy=*/true)});
    }
  models::LmmOptions options;
  options.recompute_activations = recompute;
  const parallel::ParameterTable extended = recipes::extended_table(table, with.method);
  return std::make_unique<models::Lmm>(
      config, mesh, partition, extended,
      recipes::extended_parameters(config, parallel::ParameterSet(std::move(parameters)), extended, mesh, with, nullptr), options);
}

double difference(models::Lmm& a, models::Lmm& b) {
  double largest = 0;
  for (const parallel::Parameter& parameter : a.parameters().all())
    if (parameter.value.numel() > 0)
      largest = std::max(largest, (parameter.value.detach() - b.parameters().at(parameter.spec.name).detach()).abs().max().item<double>());
  return largest;
}

models::Sample TinyRecords::sample(std::int64_t record, bool with_pixels) const {
  const char kind = kinds_.at(static_cast<std::size_t>(record));
  if (kind == 'b' || (kind == 'p' && with_pixels))
    throw framework::Error(framework::ErrorKind::image_corrupt, where(record) + " has an unreadable picture");
  framework::Random random(5, "record/" + std::to_string(record));
  models::Sample sample;
  sample.id = std::to_string(record);
  const auto say = [&](std::int64_t words, bool answer) {
    for (std::int64_t i = 0; i < words; ++i) {
      sample.ids.push_back(random.below(kVocabulary - 1));
      sample.labels.push_back(answer ? sample.ids.back() : -100);
    }
  };
  say(1 + random.below(4), false);
  if (kind == 'i' || kind == 'p') {
    sample.images.push_back(image_of(config_, record, random, with_pixels));
    sample.ids.insert(sample.ids.end(), static_cast<std::size_t>(sample.images[0].tokens), config_.image_token);
    sample.labels.insert(sample.labels.end(), static_cast<std::size_t>(sample.images[0].tokens), -100);
  }
  say(2 + random.below(6), false);
  say(1 + random.below(5), true);
  if (record % 3 == 0) {
    say(3, false);
    say(2, true);
  }
  if (const auto positions = models::family_of(config_).positions) sample.positions = positions(sample, config_);
  return sample;
}

}  // namespace retain::testing
