// SPDX-License-Identifier: Apache-2.0
// The arithmetic of reductions: sources are added in the order given, bfloat16 in float32 with one rounding at the end.
#pragma once
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <span>

#include "parallel/comm/communicator.h"

namespace retain::parallel {

/// target[i] = sources[0][i] op sources[1][i] op …, left to right. `target` may be one of the sources (not overlap one
/// otherwise). Dtypes: float32, bfloat16, float64, int64, int32, uint8. max and min of a NaN are NaN.
void reduce_in_order(void* target, std::span<const void* const> sources, std::size_t elements, c10::ScalarType dtype,
                     ReduceOp op);

}  // namespace retain::parallel
