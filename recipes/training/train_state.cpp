// SPDX-License-Identifier: Apache-2.0
// Naming of checkpoint arrays, and update counts as JSON.
#include "recipes/training/train_state.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "framework/base/error.h"

namespace retain::recipes {

using framework::DType;
using framework::Error;
using framework::ErrorKind;
using parallel::Optimizer;
using parallel::ShardedArray;
namespace json = framework::json;

namespace {

const char* folder_of(Optimizer::State kind) {
  switch (kind) {
    case Optimizer::State::first_moment: return "optimizer/first_moment/";
    case Optimizer::State::second_moment: return "optimizer/second_moment/";
    case Optimizer::State::master: return "optimizer/master/";
  }
  return "";
}

[[noreturn]] void refuse(const std::string& what, const std::string& expected, const std::string& found) {
  throw Error(ErrorKind::store_invalid, {what, expected, found, "remove the checkpoint; the stage then starts again"});
}

}  // namespace

std::vector<ShardedArray> TrainState::arrays() const {
  std::map<std::string, std::size_t> held;
  for (std::size_t i = 0; i < step_.gradients().size(); ++i) held[step_.gradients().parameter(i).spec.name] = i;
  const int shares = step_.reducer().sharded() ? model_.mesh().data().size() : 0;
  const auto share = [shares](std::int64_t elements, int rank) { return parallel::data_share(elements, shares, rank); };
  std::vector<ShardedArray> weights, states;
  for (const Selected& one : selected_) {
    const parallel::ParameterSpec& spec = *model_.table().find(one.name);
    const auto found = held.find(one.name);
    ShardedArray weight;
    weight.path = "tensors/" + one.name;
    weight.spec = spec;
    if (found != held.end()) weight.local = step_.gradients().parameter(found->second).value.detach();
    weights.push_back(std::move(weight));
    for (const Optimizer::State kind : parallel::optimizer_states(step_.optimizer().settings(), spec.dtype)) {
      ShardedArray state;
      state.path = folder_of(kind) + one.name;
      state.spec = spec;
      state.spec.dtype = kind == Optimizer::State::master ? DType::float32 : step_.optimizer().settings().moments;
      if (shares > 0) state.data_share = share;
      if (found != held.end()) state.local = step_.optimizer().state(found->second, kind);
      states.push_back(std::move(state));
    }
  }
  weights.insert(weights.end(), std::make_move_iterator(states.begin()), std::make_move_iterator(states.end()));
  return weights;
}

json::object TrainState::describe(std::int64_t next_step) const {
  std::string mine;
  for (std::size_t i = 0; i < step_.gradients().size(); ++i)
    mine += step_.gradients().parameter(i).spec.name + " " + std::to_string(step_.optimizer().updates(i)) + "\n";
  std::map<std::string, std::int64_t> updates;
  for (const std::string& text : model_.mesh().world().gather_text(mine)) {
    std::istringstream lines(text);
    std::string name;
    for (std::int64_t count = 0; lines >> name >> count;) updates[name] = std::max(updates[name], count);
  }
  json::object counts;
  for (const auto& [name, count] : updates) counts[name] = count;
  json::object description;
  description["next_step"] = next_step;
  description["updates"] = std::move(counts);
  return description;
}

std::int64_t TrainState::restore(const json::object& description) {
  const json::value* next_step = description.if_contains("next_step");
  const json::value* updates = description.if_contains("updates");
  if (!next_step || !next_step->is_int64() || !updates || !updates->is_object())
    refuse("a checkpoint's description is damaged", "next_step and updates", json::serialize(description));
  for (std::size_t i = 0; i < step_.gradients().size(); ++i) {
    const std::string& name = step_.gradients().parameter(i).spec.name;
    const json::value* count = updates->as_object().if_contains(name);
    if (!count || !count->is_int64()) refuse("a checkpoint knows nothing of " + name, "what the recipe trains", "others");
    step_.optimizer().set_updates(i, count->as_int64());
  }
  return next_step->as_int64();
}

}  // namespace retain::recipes
