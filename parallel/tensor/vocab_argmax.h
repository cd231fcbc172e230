// SPDX-License-Identifier: Apache-2.0
// The largest logit over a vocabulary that is cut over the tensor group. Shape suffixes: B rows, V this rank's columns.
#pragma once
#include <ATen/core/Tensor.h>

#include "parallel/comm/communicator.h"
#include "parallel/parameter.h"

namespace retain::parallel {

/// int64 [B]: for each row the vocabulary id of the largest logit, the smallest id among equals, the same on all tensor
/// ranks. `columns` is the part of the vocabulary in logits_BV. Two numbers a row cross the group.
at::Tensor vocab_argmax(const at::Tensor& logits_BV, Range columns, Communicator& group);

}  // namespace retain::parallel
