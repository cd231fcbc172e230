// SPDX-License-Identifier: Apache-2.0
// Token embedding whose vocabulary is cut over the tensor group. Shape suffixes: T tokens, V vocabulary rows here, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include "parallel/comm/communicator.h"
#include "parallel/parameter.h"

namespace retain::parallel {

/// Rows of the embedding for ids_T (int64), [T,H], the same on all tensor ranks. This rank holds the rows `rows` of the
/// vocabulary in weight_VH. A negative id, such as the place of a visual token, gives a row of zeros and no gradient.
/// Throws Error(data_invalid) for an id of `vocabulary` or above.
at::Tensor vocab_embedding(const at::Tensor& ids_T, const at::Tensor& weight_VH, Range rows, std::int64_t vocabulary,
                           Communicator& group);

}  // namespace retain::parallel
