// SPDX-License-Identifier: Apache-2.0
#include "reference.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdlib>

#include "models/llava/pictures.h"
#include "models/lmm/family.h"
#include "models/lmm/table.h"
#include "models/weights/load.h"
#include "models/weights/name_map.h"
#include "models/weights/safetensors.h"

namespace retain::tests {

namespace fs = std::filesystem;
using models::ImageInput;
using models::Lmm;
using models::LmmConfig;
using models::MicroBatch;
using models::Sample;

namespace {

fs::path references() {
  const char* other = std::getenv("RETAIN_PARITY_FIXTURES");
  return other != nullptr ? fs::path(other) : fs::path(RETAIN_FIXTURES) / "models";
}

std::vector<std::int64_t> values_of(const at::Tensor& row) {
  const at::Tensor flat = row.contiguous();
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

/// Image `index` of a LLaVA batch, without the tiles that pad it to the batch's largest.
ImageInput tiled_image(const Tensors& inputs, std::int64_t index, std::int64_t tokens, const LmmConfig& config) {
  ImageInput image;
  image.tokens = tokens;
  at::Tensor pixels = inputs.at("pixel_values")[index];
  if (inputs.contains("image_sizes")) {
    const std::vector<std::int64_t> size = values_of(inputs.at("image_sizes")[index]);
    image.height = size[0];
    image.width = size[1];
    const auto plan = framework::plan_anyres(size[0], size[1], models::llava::anyres_settings(config));
    pixels = pixels.narrow(0, 0, plan.tiles());
  }
  image.pixels = pixels.dim() == 3 ? pixels.unsqueeze(0) : pixels;
  image.key = "image-" + std::to_string(image.height * 10007 + index);
  return image;
}

/// Image `index` of a batch of patches: those of all images stand one after another.
ImageInput patched_image(const Tensors& inputs, std::int64_t index, std::int64_t tokens) {
  const at::Tensor patches = inputs.at("image_grid_thw").prod(1);
  ImageInput image;
  const std::vector<std::int64_t> grid = values_of(inputs.at("image_grid_thw")[index]);
  image.grid = {grid[0], grid[1], grid[2]};
  image.patches = patches[index].item<std::int64_t>();
  image.tokens = tokens;
  image.pixels = inputs.at("pixel_values").narrow(0, patches.narrow(0, 0, index).sum().item<std::int64_t>(), image.patches);
  image.key = "image-" + std::to_string(image.patches * 10007 + index);
  return image;
}

}  // namespace

std::vector<std::string> reference_names() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(references()))
    if (fs::exists(entry.path() / "manifest.json") && fs::exists(entry.path() / "cases"))
      names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

Reference::Reference(const std::string& name)
    : folder_(references() / name), manifest_(framework::read_json(folder_ / "manifest.json")) {
  for (const auto& [one, about] : manifest_.at("cases").as_object()) cases_.emplace_back(one);
  config_ = models::read_config(model_folder(namings().front()));
}

const framework::json::object& Reference::about(const std::string& one) const {
  return manifest_.at("cases").at(one).as_object();
}

Tensors Reference::tensors(const std::string& one, const std::string& what) const {
  const framework::json::value& entry = about(one).at(what);
  const std::string file((entry.is_object() ? entry.at("file") : entry).as_string());
  // A model may name another one's file, counted from its folder.
  const fs::path path = file.find('/') == std::string::npos ? folder_ / "cases" / file : folder_ / file;
  const auto found = models::SafetensorsDirectory::of_file(path);
  Tensors tensors;
  for (const std::string& tensor : found.names()) tensors[tensor] = found.read(tensor);
  return tensors;
}

std::string Reference::canonical(const std::string& name) const {
  return models::naming(config_, "memory").canonical(name).value();
}

std::map<std::string, double> Reference::gradient_norms(const std::string& one) const {
  std::map<std::string, double> norms;
  for (const auto& [name, norm] : about(one).at("grad_l2_all_parameters").as_object())
    norms[canonical(std::string(name))] = norm.to_number<double>();
  return norms;
}

std::vector<std::string> Reference::namings() const {
  std::vector<std::string> found;
  for (const std::string naming : {"hub", "hf", "orig"})
    if (fs::exists(folder_ / naming / "model.safetensors") ||
        fs::exists(folder_ / naming / "model.safetensors.index.json"))
      found.push_back(naming);
  return found;
}

std::vector<Sample> Reference::samples_of(const Tensors& inputs) const {
  std::vector<Sample> samples;
  std::int64_t next_image = 0;
  const at::Tensor& ids_BS = inputs.at("input_ids");
  for (std::int64_t row = 0; row < ids_BS.size(0); ++row) {
    const at::Tensor kept = inputs.at("attention_mask")[row].nonzero().squeeze(1);
    Sample sample;
    sample.id = std::to_string(row);
    sample.ids = values_of(ids_BS[row].index_select(0, kept));
    if (inputs.contains("labels")) sample.labels = values_of(inputs.at("labels")[row].index_select(0, kept));
    const auto tokens = std::count(sample.ids.begin(), sample.ids.end(), config_.image_token);
    if (tokens > 0)
      sample.images.push_back(config_.vision.windowed ? patched_image(inputs, next_image++, tokens)
                                                      : tiled_image(inputs, next_image++, tokens, config_));
    if (const auto positions = models::family_of(config_).positions) sample.positions = positions(sample, config_);
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::vector<Sample> Reference::samples(const std::string& one) const {
  return samples_of(tensors(one, "inputs"));
}

std::vector<Sample> Reference::prompts(const std::string& one) const {
  Tensors inputs = tensors(one, "inputs");
  const Tensors generate = tensors(one, "generate");
  inputs["input_ids"] = generate.at("input_ids");
  inputs["attention_mask"] = generate.at("attention_mask");
  inputs.erase("labels");
  return samples_of(inputs);
}

std::unique_ptr<Lmm> Reference::model(const parallel::Mesh& mesh, models::LmmOptions options, const Selection& trained,
                                      const std::string& naming, framework::DType dtype) const {
  const fs::path folder = model_folder(naming.empty() ? namings().front() : naming);
  const LmmConfig config = models::read_config(folder);
  parallel::PipelinePartition partition = models::partition_for(config, mesh.shape().pipeline);
  parallel::ParameterTable table = models::build_table(config, mesh.shape().tensor, partition, dtype);
  parallel::ParameterSet parameters =
      models::load_parameters(folder, config, table, mesh.position().tensor, mesh.position().pipeline);
  for (parallel::Parameter& parameter : parameters.all()) parameter.value.requires_grad_(trained(parameter.spec.name));
  return std::make_unique<Lmm>(config, mesh, std::move(partition), std::move(table), std::move(parameters), options);
}

StepResult run_step(Lmm& model, const MicroBatch& batch, bool backward) {
  const at::AutoGradMode gradients(backward);
  parallel::Communicator& pipeline = model.mesh().pipeline();
  const int stage = model.mesh().position().pipeline;
  const std::vector<std::int64_t> shape = {batch.tokens(), model.config().text.hidden};
  at::Tensor input_TH;
  if (stage > 0) {
    input_TH = at::empty(shape, model.parameters().all().front().value.scalar_type());
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
      gradient_TH = at::empty(shape, model.parameters().all().front().value.scalar_type());
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
    if (model.mesh().shape().data > 1) model.mesh().data().all_reduce(whole);
    gradients[row.name] = whole;
  }
  return gradients;
}

}  // namespace retain::tests
