// SPDX-License-Identifier: Apache-2.0
// KL(p‖q) = Σ_v p (z_p − z_q) − lse(z_p) + lse(z_q), with the logits z already divided by the temperature.
#include "parallel/tensor/vocab_distillation.h"

#include <ATen/ATen.h>

#include <limits>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// log Σ_v exp of both models' rows over the whole vocabulary, [2,A].
at::Tensor log_sums(const at::Tensor& student_AV, const at::Tensor& teacher_AV, Communicator& group) {
  at::Tensor maxima_2A = at::full({2, student_AV.size(0)}, -std::numeric_limits<float>::infinity(), student_AV.options());
  if (student_AV.size(1) > 0) {
    maxima_2A[0].copy_(student_AV.amax(1));
    maxima_2A[1].copy_(teacher_AV.amax(1));
  }
  group.all_reduce(maxima_2A, ReduceOp::max);
  at::Tensor sums_2A = at::empty_like(maxima_2A);
  sums_2A[0].copy_((student_AV - maxima_2A[0].unsqueeze(1)).exp().sum(1));
  sums_2A[1].copy_((teacher_AV - maxima_2A[1].unsqueeze(1)).exp().sum(1));
  group.all_reduce(sums_2A);
  return sums_2A.log_().add_(maxima_2A);
}

struct DistillationFunction : torch::autograd::Function<DistillationFunction> {
  static Variable forward(AutogradContext* context, const Variable& student, const at::Tensor& teacher, const at::Tensor& weights_A,
                          double temperature, Communicator* group) {
    const at::Tensor student_AV = student.detach().to(at::kFloat) / temperature;
    const at::Tensor teacher_AV = teacher.detach().to(at::kFloat) / temperature;
    const at::Tensor log_sums_2A = log_sums(student_AV, teacher_AV, *group);
    const at::Tensor teacher_probability_AV = (teacher_AV - log_sums_2A[1].unsqueeze(1)).exp();
    at::Tensor difference_A = (teacher_probability_AV * (teacher_AV - student_AV)).sum(1);
    group->all_reduce(difference_A);
    if (student.requires_grad()) {
      const at::Tensor student_probability_AV = (student_AV - log_sums_2A[0].unsqueeze(1)).exp();
      const at::Tensor scales_A = weights_A * temperature;
      context->save_for_backward(
          {((student_probability_AV - teacher_probability_AV) * scales_A.unsqueeze(1)).to(student.scalar_type())});
    }
    const at::Tensor divergence_A = difference_A - log_sums_2A[1] + log_sums_2A[0];
    return (weights_A * divergence_A).sum() * (temperature * temperature);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {context->get_saved_variables()[0] * gradients[0], {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor vocab_distillation(const at::Tensor& student_AV, const at::Tensor& teacher_AV, const at::Tensor& weights_A,
                              double temperature, Communicator& group) {
  if (student_AV.sizes() != teacher_AV.sizes() || weights_A.size(0) != student_AV.size(0) || !(temperature > 0))
    throw framework::Error(framework::ErrorKind::internal, "the logits of teacher and student do not fit one another");
  return DistillationFunction::apply(student_AV, teacher_AV, weights_A, temperature, &group);
}

}  // namespace retain::parallel
