// SPDX-License-Identifier: Apache-2.0
#include "models/layers/recompute.h"

#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/grad_mode.h>

namespace retain::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Lets the graph own the computation.
struct KeptComputation : torch::CustomClassHolder {
  explicit KeptComputation(Computation computation) : run(std::move(computation)) {}
  Computation run;
};

struct RecomputeFunction : torch::autograd::Function<RecomputeFunction> {
  static variable_list forward(AutogradContext* context, c10::intrusive_ptr<KeptComputation> part, at::TensorList inputs) {
    context->save_for_backward(inputs.vec());
    context->saved_data["part"] = c10::IValue::make_capsule(part);
    return {part->run(inputs[0])};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const auto part = c10::static_intrusive_pointer_cast<KeptComputation>(context->saved_data["part"].toCapsule());
    const at::AutoGradMode with_gradients(true);
    const at::Tensor x = saved[0].detach().requires_grad_(saved[0].requires_grad());
    const at::Tensor y = part->run(x);
    variable_list wanted;
    if (x.requires_grad()) wanted.push_back(x);
    wanted.insert(wanted.end(), saved.begin() + 1, saved.end());
    const variable_list found = torch::autograd::grad({y}, wanted, {gradients[0]}, std::nullopt, false, true);
    variable_list result(1);  // the computation itself has no gradient
    if (!x.requires_grad()) result.emplace_back();
    result.insert(result.end(), found.begin(), found.end());
    return result;
  }
};

}  // namespace

at::Tensor recompute(Computation part, const at::Tensor& x, const std::vector<at::Tensor>& trained) {
  if (!at::GradMode::is_enabled() || (!x.requires_grad() && trained.empty())) return part(x);
  variable_list inputs = {x};
  inputs.insert(inputs.end(), trained.begin(), trained.end());
  return RecomputeFunction::apply(c10::make_intrusive<KeptComputation>(std::move(part)), at::TensorList(inputs)).front();
}

}  // namespace retain::models
