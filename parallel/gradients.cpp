// SPDX-License-Identifier: Apache-2.0
// Gradient accumulation: autograd's own grad fields, or float32 copies filled by hooks.
#include "parallel/gradients.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <utility>

namespace retain::parallel {

/// Where a hook adds a parameter's gradients in float32.
struct Gradients::Accumulator {
  at::Tensor sum;
};

namespace {

/// Moves each new gradient into the float32 sum at once, so that no bfloat16 gradient outlives its layer's backward pass.
class AddToSum : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit AddToSum(at::Tensor& sum) : sum_(sum) {}
  void operator()(const torch::autograd::Variable& parameter) override {
    at::Tensor& gradient = parameter.mutable_grad();
    if (!gradient.defined()) return;
    const at::NoGradGuard no_gradients;
    if (sum_.defined())
      sum_.add_(gradient);
    else
      sum_ = gradient.to(at::kFloat);
    gradient.reset();
  }

 private:
  at::Tensor& sum_;
};

}  // namespace

Gradients::Gradients(ParameterSet& parameters, framework::DType accumulate) {
  for (Parameter& parameter : parameters.all()) {
    if (!parameter.trainable()) continue;
    parameters_.push_back(&parameter);
    accumulators_.emplace_back();
    if (accumulate != framework::DType::float32 || parameter.value.scalar_type() == at::kFloat) continue;
    accumulators_.back() = std::make_unique<Accumulator>();
    torch::autograd::impl::set_post_acc_grad_hooks(parameter.value,
                                                   std::make_unique<AddToSum>(accumulators_.back()->sum));
  }
}

Gradients::~Gradients() {
  for (std::size_t i = 0; i < size(); ++i)
    if (accumulators_[i]) torch::autograd::impl::set_post_acc_grad_hooks(parameters_[i]->value, nullptr);
}

at::Tensor Gradients::get(std::size_t i) const {
  const at::Tensor& gradient = accumulators_.at(i) ? accumulators_[i]->sum : parameters_[i]->value.grad();
  return gradient.defined() ? gradient.contiguous() : gradient;
}

void Gradients::set(std::size_t i, at::Tensor gradient) {
  if (accumulators_.at(i))
    accumulators_[i]->sum = std::move(gradient);
  else
    parameters_[i]->value.mutable_grad() = std::move(gradient);
}

void Gradients::clear() {
  for (std::size_t i = 0; i < size(); ++i) set(i, at::Tensor());
}

at::ScalarType Gradients::type(std::size_t i) const {
  return accumulators_.at(i) ? at::kFloat : parameters_[i]->value.scalar_type();
}

}  // namespace retain::parallel
