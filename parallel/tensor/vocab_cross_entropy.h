// SPDX-License-Identifier: Apache-2.0
// Cross-entropy over logits whose vocabulary is cut over the tensor group; the logits are never gathered.
// Shape suffixes: A supervised positions, V this rank's vocabulary rows.
#pragma once
#include <ATen/core/Tensor.h>

#include "parallel/comm/communicator.h"
#include "parallel/parameter.h"

namespace retain::parallel {

/// The float32 scalar Σ_A weights_A · (log Σ_v exp(logit_v) − logit_target), the same on all tensor ranks. `columns` is the
/// part of the vocabulary in logits_AV (float32 or bfloat16; all arithmetic is float32). Three numbers a position cross
/// the group: maximum, sum of exponentials, target's logit.
/// The backward pass overwrites logits_AV with its gradient weight·(softmax − onehot): pass a tensor nobody else reads.
at::Tensor vocab_cross_entropy(const at::Tensor& logits_AV, const at::Tensor& targets_A, const at::Tensor& weights_A,
                               Range columns, Communicator& group);

}  // namespace retain::parallel
