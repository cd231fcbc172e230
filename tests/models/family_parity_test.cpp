// SPDX-License-Identifier: Apache-2.0
// LLaVA-OneVision against Hugging Face transformers: features, embeddings, hidden states, logits, losses, gradients and
// greedy tokens, on every pipeline × tensor layout of the ranks it is started with.
#include <gtest/gtest.h>

#include "framework/base/json.h"
#include "models/generator.h"
#include "models/layers/rms_norm.h"
#include "models/llava/projector.h"
#include "models/vision/feature_cache.h"
#include "models/vision/tower.h"
#include "onevision_fixture.h"
#include "parallel/comm/mpi_communicator.h"

namespace retain::tests {
namespace {

using models::Lmm;
using models::MicroBatch;
using models::Sample;

parallel::Communicator& world() {
  static const std::shared_ptr<parallel::Communicator> all = parallel::open_world();
  return *all;
}

/// The world's ranks as one replica of `pipeline` × ranks / `pipeline`.
std::unique_ptr<parallel::Mesh> mesh_with(int pipeline) {
  static const std::shared_ptr<parallel::Communicator> all(&world(), [](parallel::Communicator*) {});
  return std::make_unique<parallel::Mesh>(all, parallel::MeshShape{1, pipeline, all->size() / pipeline});
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return a.sizes() == b.sizes() && a.numel() > 0 ? (a - b).abs().max().item<double>() : 0.0;
}

MicroBatch pack_case(const std::vector<Sample>& samples) {
  std::int64_t answers = 0;
  for (const Sample& sample : samples) answers += sample.answers();
  return models::pack(samples, models::LossAverage::token, static_cast<std::int64_t>(samples.size()), answers);
}

/// Rows of a padded [B,S,…] reference tensor where there is no padding.
at::Tensor unpadded(const at::Tensor& padded, const Tensors& inputs) {
  return padded.flatten(0, 1).index_select(0, inputs.at("attention_mask").flatten().nonzero().squeeze(1));
}

/// The reference's parameter names in canonical form.
std::string canonical(const std::string& name) {
  const std::vector<std::pair<std::string, std::string>> prefixes = {{"model.language_model.", "language."},
                                                                     {"lm_head.", "language.lm_head."},
                                                                     {"model.multi_modal_projector.", "projector."},
                                                                     {"model.vision_tower.", "vision."},
                                                                     {"model.image_newline", "image_newline"}};
  for (const auto& [theirs, ours] : prefixes)
    if (name.starts_with(theirs)) return ours + name.substr(theirs.size());
  return name;
}

class OneVisionParity : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (world().size() % GetParam() != 0) GTEST_SKIP() << "the ranks do not divide into these pipeline stages";
    mesh = mesh_with(GetParam());
  }
  std::unique_ptr<parallel::Mesh> mesh;
};

TEST_P(OneVisionParity, VisionFeaturesAndProjector) {
  if (!mesh->is_first_pipeline_stage()) return;
  const auto model = onevision_model(*mesh, {}, nothing);
  const auto tower = models::make_tower(model->config().vision, model->parameters(), mesh->tensor());
  const models::llava::Projector projector(model->config(), model->parameters(), mesh->tensor());
  for (const std::string name : {"single", "pair"}) {
    std::vector<at::Tensor> tiles;
    for (const Sample& sample : samples_of(onevision_case(name + ".inputs"), model->config()))
      for (const models::ImageInput& image : sample.images) tiles.push_back(image.pixels);
    const Tensors expected = onevision_case(name + ".expected");
    const at::Tensor features = tower->forward(at::cat(tiles));
    EXPECT_LT(largest_difference(features, expected.at("vision_features")), 2e-5);
    if (expected.contains("projector_out")) {
      EXPECT_LT(largest_difference(projector.forward(features), expected.at("projector_out")), 2e-5);
    }
  }
}

TEST_P(OneVisionParity, MergedEmbeddings) {
  if (!mesh->is_first_pipeline_stage()) return;
  const auto whole = onevision_model(*mesh, {}, nothing);
  parallel::PipelinePartition no_layers = whole->partition();
  for (parallel::Range& range : no_layers.layers) range = {0, 0};
  Lmm model(whole->config(), *mesh, no_layers, whole->table(), whole->parameters(), {});
  for (const std::string name : {"single", "pair", "text"}) {
    const Tensors inputs = onevision_case(name + ".inputs");
    const at::Tensor embedded_TH = model.forward(pack_case(samples_of(inputs, model.config())), {});
    EXPECT_LT(largest_difference(embedded_TH, unpadded(onevision_case(name + ".expected").at("inputs_embeds"), inputs)), 2e-5);
  }
}

TEST_P(OneVisionParity, HiddenStatesLogitsAndLosses) {
  const auto model = onevision_model(*mesh, {}, nothing);
  for (const std::string name : {"single", "pair", "text"}) {
    SCOPED_TRACE(name);
    const Tensors inputs = onevision_case(name + ".inputs"), expected = onevision_case(name + ".expected");
    const std::vector<Sample> samples = samples_of(inputs, model->config());
    const MicroBatch batch = pack_case(samples);
    const StepResult result = run_step(*model, batch, false);
    if (!mesh->is_last_pipeline_stage()) continue;
    EXPECT_NEAR(result.loss, expected.at("loss").item<double>(), 1e-5);
    const at::Tensor normed_TH =
        models::rms_norm(result.hidden_TH, model->parameters().at("language.norm.weight"), model->config().text.norm_eps);
    EXPECT_LT(largest_difference(normed_TH, unpadded(expected.at("final_hidden"), inputs)), 3e-5);
    const at::Tensor logits_TV = model->logits(result.hidden_TH, at::arange(batch.tokens()));
    EXPECT_LT(largest_difference(logits_TV.logsumexp(1), unpadded(expected.at("logits_logsumexp").unsqueeze(2), inputs).squeeze(1)), 5e-5);
    // Rows of the padded batch, as rows of the packed one; those of padding become −1.
    const at::Tensor mask = inputs.at("attention_mask").flatten();
    const at::Tensor packed_row = at::where(mask == 1, mask.cumsum(0) - 1, -1);
    const at::Tensor rows = packed_row.index_select(0, expected.at("logits_row_index"));
    const at::Tensor real = (rows >= 0).nonzero().squeeze(1);
    EXPECT_LT(largest_difference(logits_TV.index_select(0, rows.index_select(0, real)), expected.at("logits_rows").index_select(0, real)), 5e-5);
    const at::Tensor token_losses =
        at::logsumexp(logits_TV, 1).index_select(0, batch.answer_rows_A) -
        logits_TV.index_select(0, batch.answer_rows_A).gather(1, batch.targets_A.unsqueeze(1)).squeeze(1);
    EXPECT_LT(largest_difference(token_losses, unpadded(expected.at("per_token_loss").unsqueeze(2), inputs).squeeze(1).index_select(0, batch.answer_rows_A)), 5e-5);
  }
}

void compare_gradients(const Tensors& found, const std::string& name) {
  const framework::json::value manifest = framework::read_json(onevision_folder() + "/manifest.json");
  const auto& norms = manifest.at("cases").at(name).at("grad_l2_all_parameters").as_object();
  for (const auto& [key, value] : norms) {
    const double expected = value.to_number<double>();
    const std::string parameter = canonical(std::string(key));
    ASSERT_TRUE(found.contains(parameter)) << parameter;
    EXPECT_NEAR(found.at(parameter).norm().item<double>(), expected, 5e-5 * std::max(expected, 0.01)) << parameter;
  }
  if (name != "single") return;
  for (const auto& [key, expected] : onevision_case("single.grads")) {
    const bool sampled = key.starts_with("sample1024.");
    at::Tensor gradient = found.at(canonical(sampled ? key.substr(11) : key));
    if (sampled) gradient = gradient.flatten().index_select(0, (at::arange(1024) * gradient.numel()).floor_divide(1024));
    const double scale = expected.abs().max().item<double>();
    EXPECT_LT(largest_difference(gradient, expected), std::max(5e-5 * scale, 1e-8)) << key;
  }
}

TEST_P(OneVisionParity, GradientsOfEveryParameter) {
  for (const std::string name : {"single", "pair", "text"}) {
    SCOPED_TRACE(name);
    for (const bool recompute : {false, true}) {
      const auto model = onevision_model(*mesh, {recompute, nullptr}, everything);
      const MicroBatch batch = pack_case(samples_of(onevision_case(name + ".inputs"), model->config()));
      run_step(*model, batch, true);
      compare_gradients(whole_gradients(*model), name);
    }
  }
}

bool middle_mlp(const std::string& name) { return name.find("layers.1.mlp") != std::string::npos && name.starts_with("language."); }

TEST_P(OneVisionParity, NothingBelowTheLowestTrainableIsDifferentiated) {
  models::FeatureCache cache({});
  const auto part = onevision_model(*mesh, {false, &cache}, middle_mlp);
  const auto whole = onevision_model(*mesh, {}, everything);
  const MicroBatch batch = pack_case(samples_of(onevision_case("single.inputs"), part->config()));
  if (mesh->shape().pipeline == 1) {
    at::Tensor hidden_TH = part->forward(batch, {});
    EXPECT_TRUE(hidden_TH.requires_grad());
    parallel::PipelinePartition below = part->partition();
    below.layers[0] = {0, 1};
    Lmm lower(part->config(), *mesh, below, part->table(), part->parameters(), {});
    EXPECT_FALSE(lower.forward(batch, {}).requires_grad());
  }
  run_step(*part, batch, true);
  run_step(*part, batch, true);
  if (mesh->is_first_pipeline_stage()) {
    EXPECT_GE(cache.hits(), 1);
  }
  run_step(*whole, batch, true);
  Tensors twice = whole_gradients(*part), once = whole_gradients(*whole);
  for (const auto& [name, gradient] : twice) {
    if (!middle_mlp(name)) {
      EXPECT_EQ(gradient.abs().max().item<double>(), 0.0) << name;
      continue;
    }
    EXPECT_LT(largest_difference(gradient / 2, once.at(name)), 1e-5 * once.at(name).abs().max().item<double>()) << name;
  }
}

TEST_P(OneVisionParity, GreedyTokensAtEveryBatchSize) {
  const auto model = onevision_model(*mesh, {}, nothing);
  std::vector<Sample> prompts;
  std::vector<std::vector<std::int64_t>> expected;
  for (const std::string name : {"single", "pair", "text", "single"}) {
    for (Sample& prompt : prompts_of(name, model->config())) prompts.push_back(std::move(prompt));
    const at::Tensor tokens = onevision_case(name + ".generate").at("new_tokens").contiguous();
    for (std::int64_t row = 0; row < tokens.size(0); ++row)
      expected.emplace_back(tokens[row].const_data_ptr<std::int64_t>(), tokens[row].const_data_ptr<std::int64_t>() + tokens.size(1));
  }
  for (const std::int64_t batch_size : {1, 3, 8}) {
    models::GenerateOptions options;
    options.max_new_tokens = static_cast<std::int64_t>(expected.front().size());
    options.ignore_eos = true;
    options.batch_size = batch_size;
    EXPECT_EQ(models::generate(*model, prompts, options), expected) << "batch " << batch_size;
    // Stopping at an id that comes early in one of them shortens only the sequences that hold it.
    options.ignore_eos = false;
    options.eos_tokens = {expected[0][4]};
    std::vector<std::vector<std::int64_t>> stopped = expected;
    for (std::vector<std::int64_t>& ids : stopped) {
      const auto end = std::find(ids.begin(), ids.end(), expected[0][4]);
      if (end != ids.end()) ids.erase(end + 1, ids.end());
    }
    EXPECT_EQ(models::generate(*model, prompts, options), stopped) << "batch " << batch_size;
  }
}

INSTANTIATE_TEST_SUITE_P(PipelineStages, OneVisionParity, testing::Values(1, 2));

}  // namespace
}  // namespace retain::tests
