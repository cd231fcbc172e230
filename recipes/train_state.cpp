// SPDX-License-Identifier: Apache-2.0
// Naming of checkpoint tensors, and their way out of and into the optimizer.
#include "recipes/train_state.h"

#include <ATen/ATen.h>

#include <map>
#include <sstream>

#include "framework/base/error.h"

namespace retain::recipes {

using framework::DType;
using framework::Error;
using framework::ErrorKind;
using parallel::Optimizer;
using parallel::ParameterSpec;
namespace json = framework::json;

namespace {

std::string folder_of(Optimizer::State kind) {
  switch (kind) {
    case Optimizer::State::first_moment: return "training/first_moment/";
    case Optimizer::State::second_moment: return "training/second_moment/";
    case Optimizer::State::master: return "training/master/";
  }
  return {};
}

ParameterSpec state_row(const ParameterSpec& parameter, Optimizer::State kind) {
  ParameterSpec row = parameter;
  row.name = folder_of(kind) + parameter.name;
  row.dtype = DType::float32;
  return row;
}

std::vector<Optimizer::State> kinds_of(const ParameterSpec& parameter, const parallel::AdamWSettings& settings) {
  std::vector<Optimizer::State> kinds = {Optimizer::State::first_moment, Optimizer::State::second_moment};
  if (settings.master_weights && parameter.dtype != DType::float32) kinds.push_back(Optimizer::State::master);
  return kinds;
}

}  // namespace

std::vector<StateTensor> TrainState::tensors() {
  std::vector<StateTensor> tensors;
  parallel::Gradients& gradients = step_.gradients();
  for (std::size_t i = 0; i < gradients.size(); ++i)
    tensors.push_back({gradients.parameter(i).spec, [&gradients, i] { return gradients.parameter(i).value.detach(); }});
  for (std::size_t i = 0; i < gradients.size(); ++i)
    for (const Optimizer::State kind : step_.optimizer().kinds(i))
      tensors.push_back({state_row(gradients.parameter(i).spec, kind), [this, i, kind] {
                           return step_.optimizer().state(i, kind, model_.mesh().data(), step_.reducer().sharded());
                         }});
  return tensors;
}

std::vector<ParameterSpec> TrainState::rows(const std::vector<Selected>& selected) const {
  std::vector<ParameterSpec> rows;
  for (const Selected& one : selected) rows.push_back(*model_.table().find(one.name));
  for (const Selected& one : selected)
    for (const Optimizer::State kind : kinds_of(*model_.table().find(one.name), step_.optimizer().settings()))
      rows.push_back(state_row(*model_.table().find(one.name), kind));
  return rows;
}

json::object TrainState::describe(std::int64_t next_step) {
  std::string mine;
  for (std::size_t i = 0; i < step_.gradients().size(); ++i)
    mine += step_.gradients().parameter(i).spec.name + " " + std::to_string(step_.optimizer().updates(i)) + "\n";
  std::map<std::string, std::int64_t> updates;
  for (const std::string& text : model_.mesh().world().gather_text(mine)) {
    std::istringstream lines(text);
    std::string name;
    for (std::int64_t count = 0; lines >> name >> count;) updates[name] = count;
  }
  json::object counts;
  for (const auto& [name, count] : updates) counts[name] = count;
  json::object description;
  description["next_step"] = next_step;
  description["updates"] = std::move(counts);
  return description;
}

std::int64_t TrainState::restore(const json::object& description, const StateReader& read) {
  const json::value* next_step = description.if_contains("next_step");
  const json::value* updates = description.if_contains("updates");
  if (!next_step || !next_step->is_int64() || !updates || !updates->is_object())
    throw Error(ErrorKind::store_invalid, {"a checkpoint's description is damaged", "next_step and updates",
                                           json::serialize(description), "remove the checkpoint; the stage starts again"});
  const at::NoGradGuard no_gradients;
  parallel::Gradients& gradients = step_.gradients();
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    parallel::Parameter& parameter = gradients.parameter(i);
    const json::value* count = updates->as_object().if_contains(parameter.spec.name);
    if (!count || !count->is_int64())
      throw Error(ErrorKind::store_invalid, {"a checkpoint knows nothing of " + parameter.spec.name,
                                             "the parameters this recipe trains", "other parameters",
                                             "remove the checkpoint; the stage starts again"});
    parameter.value.copy_(read(parameter.spec));
    for (const Optimizer::State kind : step_.optimizer().kinds(i))
      step_.optimizer().set_state(i, kind, read(state_row(parameter.spec, kind)));
    step_.optimizer().set_updates(i, count->as_int64());
  }
  return next_step->as_int64();
}

}  // namespace retain::recipes
