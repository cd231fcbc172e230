// SPDX-License-Identifier: Apache-2.0
// Records with videos, read from their files, against what Hugging Face transformers computes on them
// (tests/reference/make_video.py): ids, labels, pixels, positions, visual tokens, logits, losses, gradients and greedy
// tokens, on every data × pipeline × tensor layout of the ranks it is started with.
#include <gtest/gtest.h>

#include "framework/base/error.h"
#include "framework/data/record_set.h"
#include "models/generator.h"
#include "models/lmm/family.h"
#include "models/lmm/sample_builder.h"
#include "models/weights/safetensors.h"
#include "parallel/comm/mpi_communicator.h"
#include "reference.h"

namespace retain::tests {
namespace {

using models::Pictures;
using models::Sample;

struct Layout {
  int data, pipeline;
};

double largest(const at::Tensor& values) {
  return values.numel() > 0 ? values.abs().max().item<double>() : 0.0;
}

double largest_difference(const at::Tensor& found, const at::Tensor& expected) {
  EXPECT_EQ(found.sizes(), expected.sizes());
  return found.sizes() == expected.sizes() ? largest(found - expected) : 0.0;
}

const std::shared_ptr<parallel::Communicator>& world() {
  static const std::shared_ptr<parallel::Communicator> all = parallel::open_world();
  return all;
}

class VideoParity : public testing::TestWithParam<std::tuple<std::string, Layout>> {
 protected:
  void SetUp() override {
    const auto& [name, layout] = GetParam();
    const int ranks = world()->size(), tensor = ranks / (layout.data * layout.pipeline);
    if (tensor * layout.data * layout.pipeline != ranks) GTEST_SKIP() << "the ranks do not divide so";
    folder = std::filesystem::path(RETAIN_FIXTURES) / "video" / name;
    const auto file = models::SafetensorsDirectory::of_file(folder / "expected.safetensors");
    for (const std::string& tensor_name : file.names()) expected[tensor_name] = file.read(tensor_name);
    reference = std::make_unique<Reference>(name);
    if (tensor > reference->config().text.heads) GTEST_SKIP() << "more tensor ranks than heads";
    mesh = std::make_unique<parallel::Mesh>(world(), parallel::MeshShape{layout.data, layout.pipeline, tensor});
    builder = std::make_unique<models::SampleBuilder>(reference->model_folder("hub"), reference->config(),
                                                      framework::LabelMode::clean);
    const auto records = framework::RecordSet::load(folder / "records.json", {});
    for (std::int64_t i = 0; i < records.size(); ++i) {
      samples.push_back(builder->training_sample(records.at(i), Pictures::pixels));
      light.push_back(builder->training_sample(records.at(i), Pictures::sizes));
      prompts.push_back(builder->prompt_sample(records.at(i), Pictures::pixels));
    }
  }
  const at::Tensor& of(std::size_t sample, const std::string& name) const {
    return expected.at(std::to_string(sample) + "." + name);
  }
  /// This replica's part of the batch.
  models::MicroBatch share() const {
    const auto count = static_cast<std::int64_t>(samples.size());
    const parallel::Range range = parallel::even_share(count, mesh->shape().data, mesh->position().data);
    return models::pack({samples.begin() + range.begin, samples.begin() + range.end}, models::LossAverage::sample,
                        count, 1);
  }

  std::filesystem::path folder;
  Tensors expected;
  std::unique_ptr<Reference> reference;
  std::unique_ptr<parallel::Mesh> mesh;
  std::unique_ptr<models::SampleBuilder> builder;
  std::vector<Sample> samples, light, prompts;
};

TEST_P(VideoParity, RecordsBecomeTheIdsPixelsAndPositionsOfHuggingFace) {
  for (std::size_t i = 0; i < samples.size(); ++i) {
    EXPECT_TRUE(at::equal(at::tensor(samples[i].ids), of(i, "input_ids"))) << i;
    EXPECT_TRUE(at::equal(at::tensor(samples[i].labels), of(i, "labels"))) << i;
    ASSERT_EQ(samples[i].images.size(), 1U);
    EXPECT_LE(largest_difference(samples[i].images[0].pixels, of(i, "pixels")), 1e-6) << i;
    EXPECT_FALSE(samples[i].images[0].key.empty());
    EXPECT_EQ(light[i].ids, samples[i].ids);
    EXPECT_EQ(light[i].positions, samples[i].positions);
    EXPECT_EQ(light[i].images[0].patches, samples[i].images[0].patches);
    EXPECT_FALSE(light[i].images[0].pixels.defined());
    if (!reference->config().vision.windowed) continue;
    const at::Tensor positions_3S = of(i, "positions");
    for (std::size_t token = 0; token < samples[i].positions.size(); ++token)
      for (std::int64_t axis = 0; axis < 3; ++axis)
        ASSERT_EQ(samples[i].positions[token][static_cast<std::size_t>(axis)],
                  positions_3S[axis][static_cast<std::int64_t>(token)].item<std::int64_t>())
            << i << ", token " << token;
  }
  EXPECT_NE(samples[0].images[0].key, samples[1].images[0].key);
}

TEST_P(VideoParity, VisualTokens) {
  if (!mesh->is_first_pipeline_stage()) return;
  const auto model = reference->model(*mesh, {}, nothing, "hub");
  const auto encoder =
      models::family_of(model->config()).make_encoder(model->config(), model->parameters(), mesh->tensor());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const at::Tensor tokens_IH = encoder->tokens(encoder->tower(samples[i].images), samples[i].images);
    EXPECT_LT(largest_difference(tokens_IH, of(i, "visual_tokens")), 2e-5) << i;
  }
}

TEST_P(VideoParity, LogitsAndLosses) {
  const auto model = reference->model(*mesh, {}, nothing, "hub");
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const models::MicroBatch batch = models::pack(std::span(&samples[i], 1), models::LossAverage::sample, 1, 1);
    const StepResult result = run_step(*model, batch, false);
    if (!mesh->is_last_pipeline_stage()) continue;
    EXPECT_NEAR(result.loss, of(i, "loss").item<double>(), 1e-5) << i;
    EXPECT_LT(largest_difference(model->logits(result.hidden_TH, at::arange(batch.tokens())), of(i, "logits")), 5e-5)
        << i;
  }
}

TEST_P(VideoParity, GradientsOfEveryParameter) {
  const auto about = framework::read_json(folder / "gradient_norms.json");
  const auto model = reference->model(*mesh, {}, everything, "hub");
  run_step(*model, share(), true);
  const Tensors found = whole_gradients(*model);
  for (const auto& [name, norm] : about.at("norms").as_object()) {
    const double wanted = norm.to_number<double>();
    const auto gradient = found.find(reference->canonical(std::string(name)));
    if (gradient == found.end()) continue;  // a head that is tied is named once
    EXPECT_NEAR(gradient->second.norm().item<double>(), wanted, 5e-5 * std::max(wanted, 0.01))
        << std::string_view(name);
  }
  std::size_t compared = 0;
  for (const auto& [key, gradient] : expected) {
    if (!key.starts_with("gradient.")) continue;
    const at::Tensor& own = found.at(reference->canonical(key.substr(9)));
    EXPECT_LT(largest_difference(own, gradient), std::max(5e-5 * largest(gradient), 1e-8)) << key;
    ++compared;
  }
  EXPECT_GE(compared, 3U);
}

TEST_P(VideoParity, GreedyTokensAtEveryBatchSize) {
  const auto model = reference->model(*mesh, {}, nothing, "hub");
  std::vector<std::vector<std::int64_t>> wanted;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const at::Tensor tokens = of(i, "new_tokens").contiguous();
    wanted.emplace_back(tokens.const_data_ptr<std::int64_t>(), tokens.const_data_ptr<std::int64_t>() + tokens.numel());
  }
  for (const std::int64_t batch_size : {1, 2}) {
    models::GenerateOptions options;
    options.max_new_tokens = static_cast<std::int64_t>(wanted.front().size());
    options.ignore_eos = true;
    options.batch_size = batch_size;
    EXPECT_EQ(models::generate(*model, prompts, options), wanted) << "batch " << batch_size;
  }
}

std::string label(const testing::TestParamInfo<VideoParity::ParamType>& parameter) {
  const auto& [name, layout] = parameter.param;
  return name + "_data" + std::to_string(layout.data) + "_pipeline" + std::to_string(layout.pipeline);
}

INSTANTIATE_TEST_SUITE_P(Families, VideoParity,
                         testing::Combine(testing::Values("llava_onevision", "qwen2_5_vl"),
                                          testing::Values(Layout{1, 1}, Layout{1, 2}, Layout{2, 1}, Layout{2, 2})),
                         label);

}  // namespace
}  // namespace retain::tests
