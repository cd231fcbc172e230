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

Optimizer::Optimizer(Gradients& gradients, std::vector<ParameterPiece> layout, AdamWSettings settings)
    : gradients_(gradients), layout_(std::move(layout)), settings_(settings), updates_(gradients.size()) {
  const at::ScalarType moments = settings_.moments == DType::bfloat16 ? at::kBFloat16 : at::kFloat;
  for (const ParameterPiece& piece : layout_) {
    const at::Tensor part = parameter_part(piece);
    PieceState state;
    state.first = at::zeros({piece.size()}, moments);
    state.second = at::zeros({piece.size()}, moments);
    if (settings_.master_weights && part.scalar_type() != at::kFloat) state.master = part.to(at::kFloat);
    states_.push_back(std::move(state));
  }
}

at::Tensor Optimizer::parameter_part(const ParameterPiece& piece) const {
  return gradients_.parameter(piece.parameter).value.detach().view(-1).narrow(0, piece.begin, piece.size());
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
    const std::size_t i = layout_[k].parameter;
    adamw_update(parameter_part(layout_[k]), states_[k].master, states_[k].first, states_[k].second, piece.values,
                 update_of(i, scale, learning_rates[i]));
  }
}

const at::Tensor& Optimizer::tensor(const PieceState& state, State kind) const {
  if (kind == State::first_moment) return state.first;
  return kind == State::second_moment ? state.second : state.master;
}

std::vector<Optimizer::State> Optimizer::kinds(std::size_t i) const {
  std::vector<State> kinds = {State::first_moment, State::second_moment};
  if (settings_.master_weights && gradients_.parameter(i).value.scalar_type() != at::kFloat)
    kinds.push_back(State::master);
  return kinds;
}

at::Tensor Optimizer::state(std::size_t i, State kind, Communicator& data, bool sharded) const {
  const at::Tensor& value = gradients_.parameter(i).value;
  at::Tensor whole = at::zeros({value.numel()}, at::kFloat);
  for (std::size_t k = 0; k < layout_.size(); ++k)
    if (layout_[k].parameter == i)
      whole.narrow(0, layout_[k].begin, layout_[k].size()).copy_(tensor(states_[k], kind));
  if (sharded) {
    // Pieces are disjoint and the rest is zero bits, so the integer sum assembles them bit for bit.
    at::Tensor bits = whole.view(at::kInt);
    data.all_reduce(bits);
  }
  return whole.view(value.sizes());
}

void Optimizer::set_state(std::size_t i, State kind, const at::Tensor& local) {
  const at::Tensor flat = local.reshape(-1);
  for (std::size_t k = 0; k < layout_.size(); ++k)
    if (layout_[k].parameter == i)
      tensor(states_[k], kind).copy_(flat.narrow(0, layout_[k].begin, layout_[k].size()));
}

void Optimizer::write_back_masters() {
  for (std::size_t k = 0; k < layout_.size(); ++k)
    if (states_[k].master.defined()) parameter_part(layout_[k]).copy_(states_[k].master);
}

std::int64_t Optimizer::bytes() const {
  std::int64_t bytes = 0;
  for (const PieceState& state : states_)
    for (const at::Tensor* one : {&state.first, &state.second, &state.master})
      if (one->defined()) bytes += static_cast<std::int64_t>(one->nbytes());
  return bytes;
}

}  // namespace retain::parallel
