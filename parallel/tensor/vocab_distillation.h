// SPDX-License-Identifier: Apache-2.0
// Distillation between two models whose logits are cut over the tensor group along the vocabulary; never gathered.
// Shape suffixes: A positions, V this rank's vocabulary rows.
#pragma once
#include <ATen/core/Tensor.h>

#include "parallel/comm/communicator.h"

namespace retain::parallel {

/// The float32 scalar Σ_A weights_A · t² · KL(softmax(teacher_A / t) ‖ softmax(student_A / t)), the same on all tensor ranks
/// (Hinton et al. 2015, arXiv 1503.02531; t² keeps gradients comparable over temperatures). Logits are float32 or bfloat16;
/// all arithmetic is float32. Five numbers a position cross the group: two maxima, two sums of exponentials, and the teacher's
/// mean difference. The student's gradient is weight · t · (softmax_student − softmax_teacher); the teacher gets none.
/// Neither input is changed. Throws Error(internal) unless the logits have one shape and `temperature` is positive.
at::Tensor vocab_distillation(const at::Tensor& student_AV, const at::Tensor& teacher_AV, const at::Tensor& weights_A,
                              double temperature, Communicator& group);

}  // namespace retain::parallel
