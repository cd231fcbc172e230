// SPDX-License-Identifier: Apache-2.0
// `retain forward`: ids, labels, logits, losses and gradients of records, whole tensors in one safetensors file.
#include <ATen/ATen.h>

#include <span>

#include "framework/base/error.h"
#include "framework/data/record_set.h"
#include "launch/command/model_options.h"
#include "models/weights/name_map.h"
#include "models/weights/safetensors.h"
#include "models/weights/safetensors_writer.h"
#include "recipes/evaluation/inspection.h"

namespace retain::launch {
namespace {

using framework::Error;
using framework::ErrorKind;

struct Options {
  ModelOptions model;
  std::string input;
  std::string out;
  std::vector<std::string> gradients;
};

std::vector<std::string> canonical_names(const recipes::ModelKit& kit, const std::vector<std::string>& asked) {
  std::vector<std::string> expected;
  for (const parallel::ParameterSpec& row : kit.table().rows()) expected.push_back(row.name);
  std::vector<std::string> names;
  for (const std::string& name : asked) {
    const auto canonical = models::resolve_name(kit.config(), expected, name);
    if (!canonical)
      throw Error(ErrorKind::usage, {"--gradients: no parameter is called " + name, "a canonical name or one of the source files",
                                     name, "`retain run --dry-run` lists all names"});
    names.push_back(*canonical);
  }
  return names;
}

void write_tensors(const std::string& file, const std::map<std::string, at::Tensor>& tensors) {
  std::vector<framework::TensorInfo> infos;
  for (const auto& [name, tensor] : tensors) infos.push_back({name, models::dtype_of(tensor.scalar_type()), tensor.sizes().vec()});
  models::SafetensorsWriter writer(file, infos);
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor flat = tensor.contiguous();
    writer.write(name, 0, {static_cast<const std::byte*>(flat.const_data_ptr()), flat.nbytes()});
  }
  writer.finish();
}

int forward(const Session& session, const Options& options) {
  const OpenedModel opened(session, options.model);
  const std::vector<std::string> names = canonical_names(opened.kit, options.gradients);
  const auto records = framework::RecordSet::load(options.input, {.images = options.model.images});
  const auto pictures = opened.mesh.is_first_pipeline_stage() ? models::Pictures::pixels : models::Pictures::sizes;
  std::vector<models::Sample> samples;
  for (std::int64_t i = 0; i < records.size(); ++i) samples.push_back(opened.kit.builder().training_sample(records.at(i), pictures));
  const std::unique_ptr<models::Lmm> model = opened.load();

  std::map<std::string, at::Tensor> results;
  double sum = 0;
  const std::vector<recipes::SampleView> views = recipes::view_samples(*model, samples);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const std::string prefix = std::to_string(i) + ".";
    results[prefix + "input_ids"] = at::tensor(samples[i].ids, at::kLong);
    results[prefix + "labels"] = at::tensor(samples[i].labels, at::kLong);
    results[prefix + "logits"] = views[i].logits_SV;
    results[prefix + "loss"] = at::scalar_tensor(views[i].loss, at::kFloat);
    sum += views[i].loss;
  }
  results["loss"] = at::scalar_tensor(sum / static_cast<double>(samples.size()), at::kFloat);
  if (!names.empty()) {
    const auto gradients = recipes::gradients_of(*model, samples, names);
    for (std::size_t i = 0; i < names.size(); ++i) results["gradients." + options.gradients[i]] = gradients.at(names[i]);
  }
  if (session.is_root()) write_tensors(options.out, results);
  return 0;
}

}  // namespace

void add_forward(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("forward", "Write ids, labels, logits, losses and gradients of records");
  auto options = std::make_shared<Options>();
  options->model.add_to(*command);
  command->add_option("--input", options->input, "LLaVA records: JSON, JSONL or mixture YAML")->required();
  command->add_option("--out", options->out, "Safetensors file to write")->required();
  command->add_option("--gradients", options->gradients, "Parameters, canonical or as named in the source files")->delimiter(',');
  command->callback([&action, options] { action = [options](const Session& session) { return forward(session, *options); }; });
}

}  // namespace retain::launch
