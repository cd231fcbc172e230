// SPDX-License-Identifier: Apache-2.0
// AdamW: bookkeeping of pieces and states; the arithmetic is in optimizer_kernels.
#include "parallel/optimizer.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "framework/base/error.h"
#include "parallel/optimizer_kernels.h"

namespace retain::parallel {

using framework::DType;
using framework::Error;
using framework::ErrorKind;

bool decays(const std::string& canonical_name) {
  return !canonical_name.ends_with(".bias") && canonical_name.find("norm") == std::string::npos;
}

std::int64_t optimizer_bytes_per_element(const AdamWSettings& settings, DType dtype) {
  const bool master = settings.master_weights && dtype == DType::bfloat16;
  return 2 * framework::size_of(settings.moments) + (master ? 4 : 0);
}

std::vector<Optimizer::State> optimizer_states(const AdamWSettings& settings, DType dtype) {
  std::vector<Optimizer::State> states = {Optimizer::State::first_moment, Optimizer::State::second_moment};
  if (settings.master_weights && dtype != DType::float32) states.push_back(Optimizer::State::master);
  return states;
}

Optimizer::Optimizer(Gradients& gradients, const GradientReducer& reducer, AdamWSettings settings)
    : gradients_(gradients), layout_(reducer.layout()), settings_(settings), updates_(gradients.size()) {
  const at::ScalarType moments = settings_.moments == DType::bfloat16 ? at::kBFloat16 : at::kFloat;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const at::Tensor value = gradients.parameter(i).value.detach().view(-1);
    ParameterState state;
    state.share = reducer.share(i);
    state.first = at::zeros({state.share.size()}, moments);
    state.second = at::zeros({state.share.size()}, moments);
    if (settings_.master_weights && value.scalar_type() != at::kFloat)
      state.master = value.narrow(0, state.share.begin, state.share.size()).to(at::kFloat);
    states_.push_back(std::move(state));
  }
}

AdamWUpdate Optimizer::update_of(std::size_t i, double scale, double learning_rate) const {
  const double steps = static_cast<double>(updates_[i]);
  const bool decay = settings_.weight_decay != 0 && decays(gradients_.parameter(i).spec.name);
  AdamWUpdate update;
  update.gradient_scale = static_cast<float>(scale);
  update.decay = decay ? static_cast<float>(1 - learning_rate * settings_.weight_decay) : 1.0F;
  update.one_minus_beta1 = static_cast<float>(1 - settings_.beta1);
  update.beta2 = static_cast<float>(settings_.beta2);
  update.one_minus_beta2 = static_cast<float>(1 - settings_.beta2);
  update.step = static_cast<float>(learning_rate / (1 - std::pow(settings_.beta1, steps)));
  update.root = static_cast<float>(std::sqrt(1 - std::pow(settings_.beta2, steps)));
  update.epsilon = static_cast<float>(settings_.epsilon);
  return update;
}

void Optimizer::step(const ReducedGradients& reduced, double scale, const std::vector<double>& learning_rates) {
  if (reduced.pieces.size() != layout_.size() || reduced.defined.size() != updates_.size() ||
      learning_rates.size() != updates_.size())
    throw Error(ErrorKind::internal, "the optimizer was given gradients of another layout");
  for (std::size_t i = 0; i < updates_.size(); ++i) updates_[i] += reduced.defined[i];
  for (std::size_t k = 0; k < layout_.size(); ++k) {
    const GradientPiece& piece = reduced.pieces[k];
    if (!(piece.where == layout_[k])) throw Error(ErrorKind::internal, "gradient pieces are out of order");
    if (!piece.values.defined()) continue;
    const std::size_t i = piece.where.parameter;
    const ParameterState& state = states_[i];
    const auto part_of = [&](const at::Tensor& share) {
      return share.defined() ? share.narrow(0, piece.where.begin - state.share.begin, piece.where.size()) : share;
    };
    const at::Tensor value = gradients_.parameter(i).value.detach().view(-1);
    adamw_update(value.narrow(0, piece.where.begin, piece.where.size()), part_of(state.master), part_of(state.first),
                 part_of(state.second), piece.values, update_of(i, scale, learning_rates[i]));
  }
}

const at::Tensor& Optimizer::state(std::size_t i, State kind) const {
  const ParameterState& state = states_.at(i);
  if (kind == State::first_moment) return state.first;
  return kind == State::second_moment ? state.second : state.master;
}

std::int64_t Optimizer::bytes() const {
  std::int64_t bytes = 0;
  for (const ParameterState& state : states_)
    for (const at::Tensor* one : {&state.first, &state.second, &state.master})
      if (one->defined()) bytes += static_cast<std::int64_t>(one->nbytes());
  return bytes;
}

}  // namespace retain::parallel
