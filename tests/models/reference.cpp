// SPDX-License-Identifier: Apache-2.0
#include "onevision_fixture.h"

#include <torch/csrc/autograd/autograd.h>

#include <cstdlib>
#include <filesystem>

#include "models/lmm/table.h"
#include "models/weights/load.h"
#include "models/weights/safetensors.h"

namespace retain::tests {

using models::ImageInput;
using models::Lmm;
using models::LmmConfig;
using models::MicroBatch;
using models::Sample;

std::string onevision_folder() {
  const char* other = std::getenv("RETAIN_PARITY_FIXTURES");
  return other != nullptr ? other : std::string(RETAIN_FIXTURES) + "/models/llava_onevision";
}

bool onevision_has(const std::string& file) { return std::filesystem::exists(onevision_folder() + "/" + file); }

Tensors onevision_case(const std::string& name) {
  const auto file = models::SafetensorsDirectory::of_file(onevision_folder() + "/cases/" + name + ".safetensors");
  Tensors tensors;
  for (const std::string& tensor : file.names()) tensors[tensor] = file.read(tensor);
  return tensors;
}

namespace {

std::vector<std::int64_t> values_of(const at::Tensor& row) {
  const at::Tensor flat = row.contiguous();
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

/// Tiles without the zero tiles that pad the reference's batch.
std::int64_t tile_count(const at::Tensor& tiles) {
  std::int64_t count = tiles.size(0);
  while (count > 1 && tiles[count - 1].abs().max().item<float>() == 0.0F) --count;
  return count;
}

}  // namespace

std::vector<Sample> samples_of(const Tensors& inputs, const LmmConfig& config) {
  std::vector<Sample> samples;
  std::int64_t next_image = 0;
  const at::Tensor& ids_BS = inputs.at("input_ids");
  for (std::int64_t row = 0; row < ids_BS.size(0); ++row) {
    const at::Tensor kept = inputs.at("attention_mask")[row].nonzero().squeeze(1);
    Sample sample;
    sample.id = std::to_string(row);
    sample.ids = values_of(ids_BS[row].index_select(0, kept));
    if (inputs.contains("labels")) sample.labels = values_of(inputs.at("labels")[row].index_select(0, kept));
    const auto tokens = std::count(sample.ids.begin(), sample.ids.end(), config.image_token);
    if (tokens > 0) {
      const at::Tensor size = inputs.at("image_sizes")[next_image];
      const at::Tensor tiles = inputs.at("pixel_values")[next_image++];
      sample.images.push_back({tiles.narrow(0, 0, tile_count(tiles)), size[0].item<std::int64_t>(), size[1].item<std::int64_t>(),
                               tokens, "image-" + std::to_string(size[0].item<std::int64_t>() * 10007 + next_image)});
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::vector<Sample> prompts_of(const std::string& name, const LmmConfig& config) {
  Tensors inputs = onevision_case(name + ".inputs");
  const Tensors generate = onevision_case(name + ".generate");
  inputs["input_ids"] = generate.at("input_ids");
  inputs["attention_mask"] = generate.at("attention_mask");
  inputs.erase("labels");
  return samples_of(inputs, config);
}

std::unique_ptr<Lmm> onevision_model(const parallel::Mesh& mesh, models::LmmOptions options, Selection trained) {
  const std::filesystem::path folder = onevision_folder() + "/hub";
  const LmmConfig config = models::read_config(folder);
  parallel::PipelinePartition partition = models::partition_for(config, mesh.shape().pipeline);
  parallel::ParameterTable table =
      models::build_table(config, mesh.shape().tensor, partition, framework::DType::float32);
  parallel::ParameterSet parameters =
      models::load_parameters(folder, config, table, mesh.position().tensor, mesh.position().pipeline);
  for (parallel::Parameter& parameter : parameters.all())
    parameter.value.requires_grad_(trained(parameter.spec.name));
  return std::make_unique<Lmm>(config, mesh, std::move(partition), std::move(table), std::move(parameters), options);
}

StepResult run_step(Lmm& model, const MicroBatch& batch, bool backward) {
  const at::AutoGradMode gradients(backward);
  parallel::Communicator& pipeline = model.mesh().pipeline();
  const int stage = model.mesh().position().pipeline;
  const std::vector<std::int64_t> shape = {batch.tokens(), model.config().text.hidden};
  at::Tensor input_TH;
  if (stage > 0) {
    input_TH = at::empty(shape, at::kFloat);
    pipeline.receive_async(input_TH, stage - 1, 1)->wait();
    input_TH.requires_grad_(backward);
  }
  StepResult result;
  result.hidden_TH = model.forward(batch, input_TH);
  at::Tensor gradient_TH;
  if (model.mesh().is_last_pipeline_stage()) {
    const at::Tensor loss = model.loss(batch, result.hidden_TH);
    result.loss = loss.item<double>();
    if (backward) torch::autograd::backward({loss}, {});
  } else {
    pipeline.send_async(result.hidden_TH.detach().contiguous(), stage + 1, 1)->wait();
    if (backward) {
      gradient_TH = at::empty(shape, at::kFloat);
      pipeline.receive_async(gradient_TH, stage + 1, 2)->wait();
      if (result.hidden_TH.requires_grad()) torch::autograd::backward({result.hidden_TH}, {gradient_TH});
    }
  }
  if (backward && stage > 0) pipeline.send_async(input_TH.grad().contiguous(), stage - 1, 2)->wait();
  return result;
}

Tensors whole_gradients(Lmm& model) {
  Tensors gradients;
  const int rank = model.mesh().position().tensor;
  for (const parallel::ParameterSpec& row : model.table().rows()) {
    at::Tensor whole = at::zeros(row.shape, at::kFloat);
    const at::Tensor local = model.parameters().has(row.name) ? model.parameters().at(row.name).grad() : at::Tensor();
    if (local.defined() && row.cut_dimension >= 0) {
      const parallel::Range cut = row.cuts.at(static_cast<std::size_t>(rank));
      row.block_view(whole, cut).copy_(row.block_view(local, {0, cut.size()}));
    } else if (local.defined() && rank == 0) {
      whole.copy_(local);
    }
    model.mesh().replica().all_reduce(whole);
    gradients[row.name] = whole;
  }
  return gradients;
}

}  // namespace retain::tests
