// SPDX-License-Identifier: Apache-2.0
// Qwen2.5-VL against Hugging Face transformers: features in window order, merged tokens, positions, embeddings, hidden
// states, logits, losses, gradients and greedy tokens, on every pipeline × tensor layout of the ranks it is started
// with. RETAIN_PARITY_FIXTURES names another folder of reference models.
#include <gtest/gtest.h>

#include <cstdlib>

#include "framework/base/json.h"
#include "models/generator.h"
#include "models/layers/rms_norm.h"
#include "models/lmm/table.h"
#include "models/qwen2_5_vl/encoder.h"
#include "models/qwen2_5_vl/positions.h"
#include "models/qwen2_5_vl/windows.h"
#include "models/weights/load.h"
#include "models/weights/name_map.h"
#include "models/weights/safetensors.h"
#include "parallel/comm/mpi_communicator.h"
#include "reference.h"

namespace retain::tests {
namespace {

using models::Lmm;
using models::LmmConfig;
using models::MicroBatch;
using models::Sample;

std::filesystem::path folder() {
  const char* other = std::getenv("RETAIN_PARITY_FIXTURES");
  return (other != nullptr ? std::filesystem::path(other) : std::filesystem::path(RETAIN_FIXTURES) / "models") /
         "qwen2_5_vl";
}

std::filesystem::path model_folder() {
  return folder() / (std::filesystem::exists(folder() / "hub") ? "hub" : "hf");
}

Tensors tensors_of(const std::string& name) {
  const auto file = models::SafetensorsDirectory::of_file(folder() / "cases" / (name + ".safetensors"));
  Tensors tensors;
  for (const std::string& tensor : file.names()) tensors[tensor] = file.read(tensor);
  return tensors;
}

parallel::Communicator& world() {
  static const std::shared_ptr<parallel::Communicator> all = parallel::open_world();
  return *all;
}

std::unique_ptr<parallel::Mesh> mesh_with(int pipeline) {
  static const std::shared_ptr<parallel::Communicator> all(&world(), [](parallel::Communicator*) {});
  return std::make_unique<parallel::Mesh>(all, parallel::MeshShape{1, pipeline, all->size() / pipeline});
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return a.sizes() == b.sizes() && a.numel() > 0 ? (a - b).abs().max().item<double>() : 0.0;
}

std::vector<std::int64_t> values_of(const at::Tensor& row) {
  const at::Tensor flat = row.contiguous();
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

std::vector<Sample> samples_from(const Tensors& inputs, const LmmConfig& config) {
  std::vector<Sample> samples;
  std::int64_t next_image = 0, next_patch = 0;
  const at::Tensor& ids_BS = inputs.at("input_ids");
  for (std::int64_t row = 0; row < ids_BS.size(0); ++row) {
    const at::Tensor kept = inputs.at("attention_mask")[row].nonzero().squeeze(1);
    Sample sample;
    sample.id = std::to_string(row);
    sample.ids = values_of(ids_BS[row].index_select(0, kept));
    if (inputs.contains("labels")) sample.labels = values_of(inputs.at("labels")[row].index_select(0, kept));
    if (std::count(sample.ids.begin(), sample.ids.end(), config.image_token) > 0) {
      const std::vector<std::int64_t> grid = values_of(inputs.at("image_grid_thw")[next_image++]);
      const std::int64_t patches = grid[0] * grid[1] * grid[2];
      models::ImageInput image;
      image.pixels = inputs.at("pixel_values").narrow(0, next_patch, patches);
      image.grid = {grid[0], grid[1], grid[2]};
      image.tokens = patches / (config.vision.windowed->merge * config.vision.windowed->merge);
      image.key = "image-" + std::to_string(next_patch + 10007 * patches);
      next_patch += patches;
      sample.images.push_back(std::move(image));
    }
    sample.positions = models::qwen2_5_vl::positions(sample, config);
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::vector<Sample> prompts_from(const std::string& name, const LmmConfig& config) {
  Tensors inputs = tensors_of(name + ".inputs");
  const Tensors generate = tensors_of(name + ".generate");
  inputs["input_ids"] = generate.at("input_ids");
  inputs["attention_mask"] = generate.at("attention_mask");
  inputs.erase("labels");
  return samples_from(inputs, config);
}

std::unique_ptr<Lmm> reference_model(const parallel::Mesh& mesh, models::LmmOptions options, Selection trained) {
  const LmmConfig config = models::read_config(model_folder());
  parallel::PipelinePartition partition = models::partition_for(config, mesh.shape().pipeline);
  parallel::ParameterTable table =
      models::build_table(config, mesh.shape().tensor, partition, framework::DType::float32);
  parallel::ParameterSet parameters =
      models::load_parameters(model_folder(), config, table, mesh.position().tensor, mesh.position().pipeline);
  for (parallel::Parameter& parameter : parameters.all()) parameter.value.requires_grad_(trained(parameter.spec.name));
  return std::make_unique<Lmm>(config, mesh, std::move(partition), std::move(table), std::move(parameters), options);
}

MicroBatch pack_case(const std::vector<Sample>& samples) {
  std::int64_t answers = 0;
  for (const Sample& sample : samples) answers += sample.answers();
  return models::pack(samples, models::LossAverage::token, static_cast<std::int64_t>(samples.size()), answers);
}

at::Tensor unpadded(const at::Tensor& padded, const Tensors& inputs) {
  return padded.flatten(0, 1).index_select(0, inputs.at("attention_mask").flatten().nonzero().squeeze(1));
}

class QwenParity : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (world().size() % GetParam() != 0) GTEST_SKIP() << "the ranks do not divide into these pipeline stages";
    if (world().size() / GetParam() > models::read_config(model_folder()).text.heads)
      GTEST_SKIP() << "the model has fewer heads than tensor ranks";
    mesh = mesh_with(GetParam());
  }
  std::unique_ptr<parallel::Mesh> mesh;
};

TEST_P(QwenParity, WindowsAndPositions) {
  const LmmConfig config = models::read_config(model_folder());
  for (const std::string name : {"single", "pair"}) {
    const Tensors inputs = tensors_of(name + ".inputs"), windows = tensors_of(name + ".windows"),
                  expected = tensors_of(name + ".expected");
    std::vector<at::Tensor> orders;
    std::vector<std::int64_t> starts = {0};
    std::int64_t units = 0;
    const std::vector<Sample> samples = samples_from(inputs, config);
    for (const Sample& sample : samples)
      for (const models::ImageInput& image : sample.images) {
        const auto plan =
            models::qwen2_5_vl::plan_windows({image.grid[0], image.grid[1], image.grid[2]}, config.vision);
        orders.push_back(plan.unit_order_U + units);
        units += image.tokens;
        const std::int64_t before = starts.back();
        for (std::size_t i = 1; i < plan.window_starts.size(); ++i) starts.push_back(before + plan.window_starts[i]);
      }
    EXPECT_TRUE(at::equal(at::cat(orders), windows.at("window_index"))) << name;
    EXPECT_EQ(starts, values_of(windows.at("cu_window_seqlens"))) << name;
    const MicroBatch batch = pack_case(samples);
    EXPECT_TRUE(at::equal(batch.positions_T, unpadded(expected.at("position_ids").permute({1, 2, 0}), inputs).t()))
        << name;
    for (std::size_t i = 0; i < samples.size(); ++i)
      EXPECT_EQ(samples[i].next_position() - static_cast<std::int64_t>(samples[i].ids.size()),
                expected.at("rope_deltas")[static_cast<std::int64_t>(i)].item<std::int64_t>());
  }
}

TEST_P(QwenParity, VisionFeaturesAndMerger) {
  if (!mesh->is_first_pipeline_stage()) return;
  const auto model = reference_model(*mesh, {}, nothing);
  const models::qwen2_5_vl::Encoder encoder(model->config(), model->parameters(), mesh->tensor());
  for (const std::string name : {"single", "pair"}) {
    std::vector<models::ImageInput> images;
    for (const Sample& sample : samples_from(tensors_of(name + ".inputs"), model->config()))
      images.insert(images.end(), sample.images.begin(), sample.images.end());
    const Tensors expected = tensors_of(name + ".expected");
    const std::vector<at::Tensor> features = encoder.tower(images);
    EXPECT_LT(largest_difference(at::cat(features), expected.at("vision_features")), 2e-5);
    EXPECT_LT(largest_difference(encoder.tokens(features, images), expected.at("projector_out")), 2e-5);
  }
}

TEST_P(QwenParity, MergedEmbeddings) {
  if (!mesh->is_first_pipeline_stage()) return;
  const auto whole = reference_model(*mesh, {}, nothing);
  parallel::PipelinePartition no_layers = whole->partition();
  for (parallel::Range& range : no_layers.layers) range = {0, 0};
  Lmm model(whole->config(), *mesh, no_layers, whole->table(), whole->parameters(), {});
  for (const std::string name : {"single", "pair", "text"}) {
    const Tensors inputs = tensors_of(name + ".inputs");
    const at::Tensor embedded_TH = model.forward(pack_case(samples_from(inputs, model.config())), {});
    EXPECT_LT(largest_difference(embedded_TH, unpadded(tensors_of(name + ".expected").at("inputs_embeds"), inputs)),
              2e-5);
  }
}

TEST_P(QwenParity, HiddenStatesLogitsAndLosses) {
  const auto model = reference_model(*mesh, {}, nothing);
  for (const std::string name : {"single", "pair", "text"}) {
    SCOPED_TRACE(name);
    const Tensors inputs = tensors_of(name + ".inputs"), expected = tensors_of(name + ".expected");
    const MicroBatch batch = pack_case(samples_from(inputs, model->config()));
    const StepResult result = run_step(*model, batch, false);
    if (!mesh->is_last_pipeline_stage()) continue;
    EXPECT_NEAR(result.loss, expected.at("loss").item<double>(), 1e-5);
    const at::Tensor normed_TH = models::rms_norm(result.hidden_TH, model->parameters().at("language.norm.weight"),
                                                  model->config().text.norm_eps);
    EXPECT_LT(largest_difference(normed_TH, unpadded(expected.at("final_hidden"), inputs)), 3e-5);
    const at::Tensor logits_TV = model->logits(result.hidden_TH, at::arange(batch.tokens()));
    EXPECT_LT(largest_difference(logits_TV.logsumexp(1),
                                 unpadded(expected.at("logits_logsumexp").unsqueeze(2), inputs).squeeze(1)),
              5e-5);
    const at::Tensor mask = inputs.at("attention_mask").flatten();
    const at::Tensor rows =
        at::where(mask == 1, mask.cumsum(0) - 1, -1).index_select(0, expected.at("logits_row_index"));
    const at::Tensor real = (rows >= 0).nonzero().squeeze(1);
    EXPECT_LT(largest_difference(logits_TV.index_select(0, rows.index_select(0, real)),
                                 expected.at("logits_rows").index_select(0, real)),
              5e-5);
  }
}

TEST_P(QwenParity, GradientsOfEveryParameter) {
  const framework::json::value manifest = framework::read_json(folder() / "manifest.json");
  for (const std::string name : {"single", "pair", "text"}) {
    SCOPED_TRACE(name);
    for (const bool recompute : {false, true}) {
      const auto model = reference_model(*mesh, {recompute, nullptr}, everything);
      const models::Naming& memory = models::naming(model->config(), "memory");
      run_step(*model, pack_case(samples_from(tensors_of(name + ".inputs"), model->config())), true);
      const Tensors found = whole_gradients(*model);
      for (const auto& [key, value] : manifest.at("cases").at(name).at("grad_l2_all_parameters").as_object()) {
        const double expected = value.to_number<double>();
        EXPECT_NEAR(found.at(*memory.canonical(key)).norm().item<double>(), expected, 5e-5 * std::max(expected, 0.01))
            << key;
      }
      if (name != "single") continue;
      for (const auto& [key, expected] : tensors_of("single.grads")) {
        const bool sampled = key.starts_with("sample1024.");
        at::Tensor gradient = found.at(*memory.canonical(sampled ? key.substr(11) : key));
        if (sampled)
          gradient = gradient.flatten().index_select(0, (at::arange(1024) * gradient.numel()).floor_divide(1024));
        const double scale = expected.abs().max().item<double>();
        EXPECT_LT(largest_difference(gradient, expected), std::max(5e-5 * scale, 1e-8)) << key;
      }
    }
  }
}

TEST_P(QwenParity, GreedyTokensAtEveryBatchSize) {
  const auto model = reference_model(*mesh, {}, nothing);
  std::vector<Sample> prompts;
  std::vector<std::vector<std::int64_t>> expected;
  for (const std::string name : {"single", "pair", "text", "single"}) {
    for (Sample& prompt : prompts_from(name, model->config())) prompts.push_back(std::move(prompt));
    const at::Tensor tokens = tensors_of(name + ".generate").at("new_tokens");
    for (std::int64_t row = 0; row < tokens.size(0); ++row) expected.push_back(values_of(tokens[row]));
  }
  for (const std::int64_t batch_size : {1, 3, 8}) {
    models::GenerateOptions options;
    options.max_new_tokens = static_cast<std::int64_t>(expected.front().size());
    options.ignore_eos = true;
    options.batch_size = batch_size;
    EXPECT_EQ(models::generate(*model, prompts, options), expected) << "batch " << batch_size;
  }
}

INSTANTIATE_TEST_SUITE_P(PipelineStages, QwenParity, testing::Values(1, 2));

}  // namespace
}  // namespace retain::tests
