// SPDX-License-Identifier: Apache-2.0
#include "tests/recipes/oracle_training.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "framework/image/anyres.h"

namespace retain::testing {

std::filesystem::path oracle_place(const char* in_oracle, const char* in_fixtures) {
  const char* oracle = std::getenv("RETAIN_ORACLE");
  return oracle ? std::filesystem::path(oracle) / in_oracle : std::filesystem::path(RETAIN_FIXTURES) / in_fixtures;
}

std::vector<models::Sample> oracle_samples(const models::LmmConfig& config, const models::SafetensorsDirectory& file, int index) {
  const std::string prefix = "mb" + std::to_string(index) + ".";
  const at::Tensor ids = file.read(prefix + "input_ids"), mask = file.read(prefix + "attention_mask");
  const at::Tensor labels = file.read(prefix + "labels");
  const bool has_images = file.find(prefix + "pixel_values") != nullptr;
  const at::Tensor pixels = has_images ? file.read(prefix + "pixel_values") : at::Tensor();
  const at::Tensor sizes = has_images ? file.read(prefix + "image_sizes") : at::Tensor();
  const framework::AnyresSettings settings{config.pinpoints, config.vision.image_size, config.vision.grid(), config.max_tiles, true};
  std::int64_t next_image = 0;
  std::vector<models::Sample> samples;
  for (std::int64_t row = 0; row < ids.size(0); ++row) {
    models::Sample sample;
    std::int64_t visual = 0;
    for (std::int64_t i = 0; i < ids.size(1); ++i) {
      if (mask[row][i].item<std::int64_t>() == 0) continue;
      sample.ids.push_back(ids[row][i].item<std::int64_t>());
      sample.labels.push_back(labels[row][i].item<std::int64_t>());
      visual += sample.ids.back() == config.image_token;
    }
    if (visual > 0) {
      models::ImageInput image;
      image.height = sizes[next_image][0].item<std::int64_t>();
      image.width = sizes[next_image][1].item<std::int64_t>();
      const framework::AnyresPlan plan = framework::plan_anyres(image.height, image.width, settings);
      EXPECT_EQ(plan.tokens, visual);
      image.tokens = visual;
      image.pixels = pixels[next_image++].narrow(0, 0, plan.tiles()).contiguous();
      sample.images.push_back(std::move(image));
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::int64_t answers_of(const std::vector<models::Sample>& samples) {
  std::int64_t answers = 0;
  for (const models::Sample& sample : samples) answers += sample.answers();
  return answers;
}

std::vector<models::MicroBatch> oracle_step(const std::vector<std::vector<models::Sample>>& batches, int step, bool by_token) {
  const auto& first = batches[static_cast<std::size_t>(kAccumulation * step % kBatches)];
  const auto& second = batches[static_cast<std::size_t>((kAccumulation * step + 1) % kBatches)];
  std::vector<models::MicroBatch> result;
  for (const auto* samples : {&first, &second}) {
    const std::int64_t denominator = by_token ? answers_of(first) + answers_of(second) : kAccumulation * answers_of(*samples);
    result.push_back(models::pack(*samples, models::LossAverage::token, 0, denominator));
  }
  return result;
}

void expect_samples(const parallel::Parameter& parameter, const at::Tensor& expected, int tensor_rank, double bound, const std::string& what) {
  const parallel::ParameterSpec& spec = parameter.spec;
  const std::int64_t elements = spec.elements();
  const at::Tensor value = parameter.value.detach();
  for (std::int64_t i = 0; i < expected.numel(); ++i) {
    std::int64_t flat = elements > 32 ? i * elements / 32 : i;
    std::vector<std::int64_t> place(spec.shape.size());
    for (std::size_t d = spec.shape.size(); d-- > 0; flat /= spec.shape[d]) place[d] = flat % spec.shape[d];
    if (spec.cut_dimension >= 0) {
      const auto cut_dimension = static_cast<std::size_t>(spec.cut_dimension);
      const parallel::Range cut = spec.cuts[static_cast<std::size_t>(tensor_rank)];
      if (place[cut_dimension] < cut.begin || place[cut_dimension] >= cut.end) continue;
      place[cut_dimension] -= cut.begin;
    }
    at::Tensor element = value;
    for (const std::int64_t index : place) element = element[index];
    EXPECT_NEAR(element.item<double>(), expected[i].item<double>(), bound) << what << ": " << spec.name << " value " << i;
  }
}

}  // namespace retain::testing
