// SPDX-License-Identifier: Apache-2.0
// The router and the blend are whole on every tensor rank, as the MLPs' results are: no message beside theirs.
// C: choices (0 the original, 1 the trained copy).
#include "recipes/methods/moe.h"

#include <ATen/ATen.h>

#include <map>
#include <set>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "models/layers/gated_mlp.h"
#include "parallel/extension.h"
#include "parallel/tensor/gemm.h"

namespace retain::recipes {

namespace {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;
using parallel::ParameterSpec;
using parallel::ParameterTable;

constexpr const char* kExpert = "expert.";
constexpr const char* kRouter = "router.";

/// "language.layers.3.mlp." of a parameter of that MLP's own; empty for others.
std::string mlp_of(const std::string& name) {
  const std::size_t end = name.find(".mlp.");
  if (!name.starts_with("language.layers.") || end == std::string::npos) return {};
  const std::string rest = name.substr(end + 5);
  return rest.starts_with(kExpert) || rest.starts_with(kRouter) ? std::string() : name.substr(0, end + 5);
}

std::string expert_of(const std::string& name) {
  const std::string mlp = mlp_of(name);
  return mlp + kExpert + name.substr(mlp.size());
}

class MoeExtension final : public parallel::Extension {
 public:
  Computation instead_of_mlp(const parallel::ParameterSet& parameters, const std::string& prefix, parallel::Communicator& group,
                             Computation own) const override {
    if (!parameters.has(prefix + ".router.weight")) return {};
    return [own = std::move(own), expert = models::GatedMlp(parameters, prefix + ".expert", group), blend = blend_,
            weight_CH = parameters.at(prefix + ".router.weight"),
            bias_C = parameters.at(prefix + ".router.bias")](const at::Tensor& x_TH) {
      const at::Tensor scores_TC = parallel::apply_linear(x_TH, weight_CH, bias_C).to(at::kFloat);
      if (!*blend) return routed(x_TH, scores_TC, own, expert);
      const at::Tensor shares_TC = scores_TC.softmax(1).to(x_TH.scalar_type());
      return own(x_TH) * shares_TC.narrow(1, 0, 1) + expert.forward(x_TH) * shares_TC.narrow(1, 1, 1);
    };
  }

  void blend(bool on) { *blend_ = on; }

 private:
  /// Every row through the likelier MLP, the original among equals. All tensor ranks see the same scores.
  static at::Tensor routed(const at::Tensor& x_TH, const at::Tensor& scores_TC, const Computation& own, const models::GatedMlp& expert) {
    const at::Tensor tuned_T = scores_TC.select(1, 1) > scores_TC.select(1, 0);
    const at::Tensor tuned_rows = tuned_T.nonzero().squeeze(1), own_rows = tuned_T.logical_not().nonzero().squeeze(1);
    at::Tensor y_TH = at::zeros_like(x_TH);
    if (own_rows.numel() > 0) y_TH = y_TH.index_copy(0, own_rows, own(x_TH.index_select(0, own_rows)));
    if (tuned_rows.numel() > 0) y_TH = y_TH.index_copy(0, tuned_rows, expert.forward(x_TH.index_select(0, tuned_rows)));
    return y_TH;
  }

  std::shared_ptr<bool> blend_ = std::make_shared<bool>(false);  ///< shared with the computations
};

MoeExtension& extension_of(models::Lmm& model) {
  auto* extension = dynamic_cast<MoeExtension*>(model.parameters().extension().get());
  if (!extension) throw Error(ErrorKind::internal, "the model was built without its experts");
  return *extension;
}

class MoeRun final : public MethodRun {
 public:
  explicit MoeRun(models::Lmm& model) : extension_(extension_of(model)) {}
  void before_step(std::span<const models::MicroBatch> /*batches*/) override { extension_.blend(true); }
  double after_reduction(const parallel::Gradients& /*gradients*/, parallel::ReducedGradients& /*reduced*/, bool /*sharded*/) override {
    extension_.blend(false);
    return 0;
  }

 private:
  MoeExtension& extension_;
};

ParameterSpec router_row(const ParameterSpec& model, std::string name, std::vector<std::int64_t> shape) {
  ParameterSpec row;
  row.name = std::move(name);
  row.shape = std::move(shape);
  row.dtype = model.dtype;
  row.pipeline_stages = model.pipeline_stages;
  return row;
}

}  // namespace

Moe::Moe(MethodSetup setup)
    : Method(std::move(setup.groups)), router_deviation_(setup.settings.number("router_deviation", 0.02, 0, 10)) {}

json::object Moe::describe() const { return {{"method", "moe"}, {"router_deviation", router_deviation_}}; }

std::vector<Selected> Moe::tuned(const ParameterTable& table) const {
  std::vector<Selected> found;
  for (const Selected& one : recipes::select(table, groups())) {
    const std::string mlp = mlp_of(one.name);
    if (!mlp.empty()) found.push_back(one);
    const bool own = one.name.find(".mlp.expert.") != std::string::npos || one.name.find(".mlp.router.") != std::string::npos;
    if (mlp.empty() && !own)
      throw Error(ErrorKind::config_invalid, {"experts are copies of decoder MLPs", "patterns of MLP parameters, such as \"mlp\"", one.name,
                                              "leave out what is no MLP"});
  }
  return found;
}

std::vector<Selected> Moe::select(const ParameterTable& table) const {
  std::map<std::string, std::size_t> group_of;
  for (const Selected& one : tuned(table)) {
    group_of[expert_of(one.name)] = one.group;
    group_of.emplace(mlp_of(one.name) + kRouter + "weight", one.group);
    group_of.emplace(mlp_of(one.name) + kRouter + "bias", one.group);
  }
  std::vector<Selected> selected;
  for (const ParameterSpec& row : table.rows())
    if (const auto found = group_of.find(row.name); found != group_of.end()) selected.push_back({row.name, found->second});
  return selected;
}

std::vector<ParameterSpec> Moe::own_parameters(const ParameterTable& table) const {
  std::set<std::string> mlps, routed;
  for (const Selected& one : tuned(table)) mlps.insert(mlp_of(one.name));
  std::vector<ParameterSpec> rows;
  for (const ParameterSpec& row : table.rows()) {
    const std::string mlp = mlp_of(row.name);
    if (!mlps.contains(mlp)) continue;
    rows.push_back(row);
    rows.back().name = expert_of(row.name);
    if (!routed.insert(mlp).second) continue;
    rows.push_back(router_row(row, mlp + kRouter + "weight", {2, row.shape[1]}));  // the first row is gate_proj [I,H]
    rows.push_back(router_row(row, mlp + kRouter + "bias", {2}));
  }
  return rows;
}

void Moe::initialise(parallel::Parameter& parameter, const OwnStart& start) const {
  const std::string& name = parameter.spec.name;
  if (const std::size_t expert = name.find(kExpert); expert != std::string::npos) {
    parameter.value.copy_(start.model.at(name.substr(0, expert) + name.substr(expert + std::string(kExpert).size())));
    return;
  }
  parameter.value.zero_();
  if (name.ends_with(".bias")) return;
  at::Tensor values = at::empty(parameter.spec.shape, at::kFloat);
  framework::Random(start.seed, "moe/" + start.stream + "/" + name)
      .fill_normal({values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
  parameter.value.copy_(values * router_deviation_);
}

std::shared_ptr<parallel::Extension> Moe::extension(const ParameterTable& /*table*/) const { return std::make_shared<MoeExtension>(); }

std::unique_ptr<MethodRun> Moe::begin(const MethodStart& start) const { return std::make_unique<MoeRun>(start.model); }

void Moe::read_as(models::Lmm& model, const std::string& reading) const { extension_of(model).blend(reading == "blend"); }

}  // namespace retain::recipes
