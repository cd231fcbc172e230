// SPDX-License-Identifier: Apache-2.0
// A column-parallel layer's A and a row-parallel layer's B are whole on every tensor rank, as rows that all ranks share: each
// rank has a part of their gradient, and the reduction sums it. O outputs, I inputs, R rank, K answer rows, V vocabulary.
#include "recipes/methods/lora.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "recipes/evaluation/hidden_pass.h"
#include "recipes/methods/lora_layer.h"

namespace retain::recipes {

namespace {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;
using parallel::ParameterSpec;
using parallel::ParameterTable;
using parallel::Range;

constexpr const char* kDown = ".lora_A.weight";
constexpr const char* kUp = ".lora_B.weight";
constexpr const char* kWeight = ".weight";

bool is_adapter(const std::string& name) { return name.ends_with(kDown) || name.ends_with(kUp); }

std::string prefix_of(const std::string& weight) { return weight.substr(0, weight.size() - std::string(kWeight).size()); }

/// Matrices that linear layers multiply with; embeddings, the head and patch embeddings are looked up or computed otherwise.
bool is_linear(const ParameterSpec& row) {
  return row.shape.size() == 2 && row.name.ends_with(kWeight) && row.name.find("embed") == std::string::npos &&
         row.name.find("lm_head") == std::string::npos && !is_adapter(row.name);
}

ParameterSpec row_of(const ParameterSpec& weight, std::string name, std::vector<std::int64_t> shape) {
  ParameterSpec row;
  row.name = std::move(name);
  row.shape = std::move(shape);
  row.dtype = weight.dtype;
  row.pipeline_stages = weight.pipeline_stages;
  return row;
}

/// Whole on every tensor rank, its gradient in parts.
void share(ParameterSpec& row, std::size_t tensor_ranks) {
  row.cut_dimension = 0;
  row.cuts.assign(tensor_ranks, Range{0, row.shape[0]});
}

/// This rank's columns [K,V] of the logits at the answer rows of every micro-batch; undefined before the last pipeline stage.
std::vector<at::Tensor> answer_logits(models::Lmm& model, std::span<const models::MicroBatch> batches) {
  const at::NoGradGuard no_gradient;
  std::vector<at::Tensor> rows_K;
  for (const models::MicroBatch& batch : batches) rows_K.push_back(batch.answer_rows_A);
  std::vector<at::Tensor> logits_KV = hidden_at(model, batches, rows_K);
  for (at::Tensor& one : logits_KV)
    if (one.defined()) one = model.local_logits(one, at::arange(one.size(0), at::kLong)).to(at::kFloat);
  return logits_KV;
}

class LoraRun final : public MethodRun {
 public:
  LoraRun(const MethodStart& start, const LoraSettings& settings)
      : model_(start.model),
        settings_(settings),
        extension_(std::dynamic_pointer_cast<LoraExtension>(start.model.parameters().extension())) {
    if (!extension_) throw Error(ErrorKind::internal, "the model was built without its adapters");
    extension_->seed(start.settings.seed);
  }

  void before_step(std::span<const models::MicroBatch> /*batches*/) override { extension_->train(true); }
  double after_reduction(const parallel::Gradients& /*gradients*/, parallel::ReducedGradients& /*reduced*/, bool /*sharded*/) override {
    extension_->train(false);
    return 0;
  }

  json::object finish(std::span<const models::MicroBatch> batches) override {
    if (!settings_.merge) return {};
    const std::vector<at::Tensor> before = answer_logits(model_, batches);
    const std::int64_t merged = merge();
    const std::vector<at::Tensor> after = answer_logits(model_, batches);
    at::Tensor largest_2 = at::zeros({2}, at::kDouble);
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (!before[i].defined() || before[i].numel() == 0) continue;
      const at::Tensor change = (after[i] - before[i]).abs().max(), size = before[i].abs().max();
      largest_2[0] = std::max(largest_2[0].item<double>(), change.item<double>());
      largest_2[1] = std::max(largest_2[1].item<double>(), size.item<double>());
    }
    model_.mesh().world().all_reduce(largest_2, parallel::ReduceOp::max);
    return {{"merged_on_this_rank", merged}, {"largest_logit_change", largest_2[0].item<double>()},
            {"largest_logit", largest_2[1].item<double>()}};
  }

 private:
  /// W ← W + s·B·A in float32, rounded once; the adapters then add nothing. Every rank has what its slice needs.
  std::int64_t merge() {
    const at::NoGradGuard no_gradient;
    parallel::ParameterSet& parameters = model_.parameters();
    std::int64_t merged = 0;
    for (const parallel::Parameter& parameter : parameters.all()) {
      const std::string& name = parameter.spec.name;
      if (is_adapter(name) || !name.ends_with(kWeight) || !parameters.has(lora_a_of(name))) continue;
      at::Tensor value_OI = parameter.value, b_OR = parameters.at(lora_b_of(name));
      const at::Tensor delta_OI = at::mm(b_OR.to(at::kFloat), parameters.at(lora_a_of(name)).to(at::kFloat)) * settings_.scale();
      value_OI.copy_(value_OI.to(at::kFloat) + delta_OI);
      b_OR.zero_();
      ++merged;
    }
    model_.parameters_replaced();
    return merged;
  }

  models::Lmm& model_;
  LoraSettings settings_;
  std::shared_ptr<LoraExtension> extension_;
};

}  // namespace

std::string lora_a_of(const std::string& weight) { return prefix_of(weight) + kDown; }
std::string lora_b_of(const std::string& weight) { return prefix_of(weight) + kUp; }

double LoraSettings::scale() const {
  const auto r = static_cast<double>(rank);
  return alpha / (rank_stabilised ? std::sqrt(r) : r);
}

Lora::Lora(MethodSetup setup) : Method(std::move(setup.groups)) {
  const framework::ConfigTable& table = setup.settings;
  settings_.rank = table.integer("rank", 8, 1, 1 << 20);
  settings_.alpha = table.number("alpha", 2.0 * static_cast<double>(settings_.rank), 0, 1e9);
  settings_.dropout = table.number("dropout", 0.0, 0, 0.99);
  settings_.rank_stabilised = table.flag("rslora", false);
  settings_.merge = table.flag("merge", true);
  settings_.also_train = table.texts("also_train");
  if (setup.faithful && !table.has("also_train")) settings_.also_train = {"projector"};
  adapter_digest_ = table.text("adapter_digest", "");
  const std::filesystem::path named = table.text("adapter", "");
  if (named.empty()) return;
  const std::filesystem::path folder = named.is_absolute() || table.overridden("adapter") ? named : table.folder_of("adapter", {}) / named;
  adapter_digest_ = peft_digest(folder);
  const PeftSettings stored = read_peft_settings(folder);
  if (stored.rank != settings_.rank || stored.alpha != settings_.alpha || stored.rank_stabilised != settings_.rank_stabilised)
    throw Error(ErrorKind::config_invalid,
                {table.where("adapter") + ": the adapter in " + folder.string() + " does not fit the recipe",
                 "rank " + std::to_string(settings_.rank) + ", alpha " + std::to_string(settings_.alpha) +
                     (settings_.rank_stabilised ? ", rslora" : ""),
                 "rank " + std::to_string(stored.rank) + ", alpha " + std::to_string(stored.alpha) +
                     (stored.rank_stabilised ? ", rslora" : ""),
                 "give the recipe the adapter's settings"});
  adapter_.emplace(folder);
}

json::object Lora::describe() const {
  json::object description{{"method", "lora"}, {"rank", settings_.rank}, {"alpha", settings_.alpha}, {"dropout", settings_.dropout},
                           {"rslora", settings_.rank_stabilised}, {"merge", settings_.merge},
                           {"also_train", json::value_from(settings_.also_train)}};
  if (!adapter_digest_.empty()) description["adapter_digest"] = adapter_digest_;
  return description;
}

json::object Lora::describe_stage(bool first) const {
  json::object description = describe();
  if (settings_.merge && !first) description.erase("adapter_digest");
  return description;
}

void Lora::check(const models::LmmConfig& config, const ParameterTable& table) const {
  if (!adapter_) return;
  std::vector<ParameterSpec> rows;
  for (const ParameterSpec& row : table.rows())
    if (is_adapter(row.name)) rows.push_back(row);
  adapter_->check(config, rows);
}

std::vector<Selected> Lora::adapted(const ParameterTable& table) const {
  std::vector<Selected> linears;
  for (const Selected& one : recipes::select(table, groups()))
    if (is_linear(*table.find(one.name))) linears.push_back(one);
  if (linears.empty())
    throw Error(ErrorKind::recipe_matches_nothing,
                {"the recipe's patterns select no linear layer an adapter could lie beside", "linear layers", "none",
                 "name some, such as \"mlp\" or \"sa_proj\""});
  for (const Selected& one : linears)
    if (settings_.dropout > 0 && !one.name.starts_with("language."))
      throw Error(ErrorKind::config_unsupported,
                  {"LoRA's dropout is for language layers", "patterns of language layers, or dropout = 0", one.name,
                   "set dropout = 0 in a recipe of its own for these"});
  return linears;
}

std::vector<Selected> Lora::select(const ParameterTable& table) const {
  std::map<std::string, std::size_t> group_of;
  for (const Selected& one : adapted(table)) group_of[lora_a_of(one.name)] = group_of[lora_b_of(one.name)] = one.group;
  if (!settings_.also_train.empty())
    for (const Selected& one : recipes::select(table, {{settings_.also_train, 0}}))
      if (!is_adapter(one.name)) group_of.emplace(one.name, 0);
  std::vector<Selected> selected;
  for (const ParameterSpec& row : table.rows())
    if (const auto found = group_of.find(row.name); found != group_of.end()) selected.push_back({row.name, found->second});
  return selected;
}

std::vector<ParameterSpec> Lora::own_parameters(const ParameterTable& table) const {
  std::vector<ParameterSpec> rows;
  for (const Selected& one : adapted(table)) {
    const ParameterSpec& weight = *table.find(one.name);
    ParameterSpec a = row_of(weight, lora_a_of(one.name), {settings_.rank, weight.shape[1]});
    ParameterSpec b = row_of(weight, lora_b_of(one.name), {weight.shape[0], settings_.rank});
    if (weight.cut_dimension == 0) {
      share(a, weight.cuts.size());
      b.cut_dimension = 0;
      b.cuts = weight.cuts;
      b.cut_blocks = weight.cut_blocks;
    } else if (weight.cut_dimension == 1) {
      a.cut_dimension = 1;
      a.cuts = weight.cuts;
      a.cut_blocks = weight.cut_blocks;
      share(b, weight.cuts.size());
    }
    rows.push_back(std::move(a));
    rows.push_back(std::move(b));
  }
  return rows;
}

void Lora::initialise(parallel::Parameter& parameter, const OwnStart& start) const {
  const ParameterSpec& row = parameter.spec;
  if (start.first && adapter_) {
    parameter.value.copy_(row.slice_of(adapter_->read(start.config, row), start.tensor_rank));
    return;
  }
  if (row.name.ends_with(kUp)) {
    parameter.value.zero_();
    return;
  }
  framework::Random random(start.seed, "lora/" + start.stream + "/" + row.name);
  const double bound = 1 / std::sqrt(static_cast<double>(row.shape[1]));
  at::Tensor whole_RI = at::empty(row.shape, at::kFloat);
  float* values = whole_RI.data_ptr<float>();
  for (std::int64_t i = 0; i < whole_RI.numel(); ++i) values[i] = static_cast<float>(bound * (2 * random.uniform() - 1));
  parameter.value.copy_(row.slice_of(whole_RI, start.tensor_rank));
}

std::shared_ptr<parallel::Extension> Lora::extension(const ParameterTable& /*table*/) const {
  return std::make_shared<LoraExtension>(settings_.scale(), settings_.dropout);
}

std::vector<std::string> Lora::changed(const ParameterTable& table) const {
  if (!settings_.merge) return Method::changed(table);
  std::set<std::string> names;
  for (const Selected& one : adapted(table)) names.insert(one.name);
  for (const Selected& one : select(table))
    if (!is_adapter(one.name)) names.insert(one.name);
  std::vector<std::string> ordered;
  for (const ParameterSpec& row : table.rows())
    if (names.contains(row.name)) ordered.push_back(row.name);
  return ordered;
}

std::unique_ptr<MethodRun> Lora::begin(const MethodStart& start) const { return std::make_unique<LoraRun>(start, settings_); }

}  // namespace retain::recipes
