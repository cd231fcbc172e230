// SPDX-License-Identifier: Apache-2.0
// What a method does where it says nothing else.
#include "recipes/methods/method.h"

#include "framework/base/error.h"
#include "parallel/extension.h"

namespace retain::recipes {

using parallel::ParameterSpec;
using parallel::ParameterTable;

void MethodRun::before_step(std::span<const models::MicroBatch> /*batches*/) {}

at::Tensor MethodRun::loss_term(std::size_t /*micro_batch*/, const models::MicroBatch& /*batch*/, const at::Tensor& /*hidden_TH*/) {
  return {};
}

double MethodRun::after_reduction(const parallel::Gradients& /*gradients*/, parallel::ReducedGradients& /*reduced*/, bool /*sharded*/) {
  return 0;
}

framework::json::object MethodRun::finish(std::span<const models::MicroBatch> /*batches*/) { return {}; }

framework::json::object Method::describe_stage(bool /*first*/) const { return describe(); }

void Method::check(const models::LmmConfig& /*config*/, const ParameterTable& /*table*/) const {}

std::vector<Selected> Method::select(const ParameterTable& table) const { return recipes::select(table, groups_); }

std::vector<ParameterSpec> Method::own_parameters(const ParameterTable& /*table*/) const { return {}; }

void Method::initialise(parallel::Parameter& parameter, const OwnStart& /*start*/) const {
  throw framework::Error(framework::ErrorKind::internal, "no method knows how " + parameter.spec.name + " begins");
}

std::shared_ptr<parallel::Extension> Method::extension(const ParameterTable& /*table*/) const { return nullptr; }

std::vector<std::string> Method::changed(const ParameterTable& table) const {
  std::vector<std::string> names;
  for (const Selected& one : select(table)) names.push_back(one.name);
  return names;
}

std::unique_ptr<MethodRun> Method::begin(const MethodStart& /*start*/) const { return nullptr; }

void Method::read_as(models::Lmm& /*model*/, const std::string& /*reading*/) const {}

std::int64_t Method::bytes_beside(std::int64_t /*trained_bytes*/) const { return 0; }

std::string Method::settle(parallel::ShardedStore& /*store*/, const parallel::Mesh& /*mesh*/,
                           const TaughtStage& stage) const {
  return stage.taught;
}

std::string Method::settled_key(parallel::ShardedStore& /*store*/, const TaughtStage& /*stage*/) const { return {}; }

std::vector<Selected> select(const ParameterTable& table, const std::vector<TrainableGroup>& groups, const Method* method) {
  return method ? method->select(table) : select(table, groups);
}

std::vector<std::string> readings_of(const Method* method) { return method ? method->readings() : std::vector<std::string>{""}; }

ParameterTable extended_table(const ParameterTable& table, const Method* method) {
  if (!method) return table;
  std::vector<ParameterSpec> rows = table.rows();
  for (ParameterSpec& row : method->own_parameters(table)) rows.push_back(std::move(row));
  return ParameterTable(std::move(rows));
}

}  // namespace retain::recipes
