// SPDX-License-Identifier: Apache-2.0
// One forward pass through all pipeline stages of a replica, without a gradient.
#pragma once
#include <ATen/core/Tensor.h>

#include "models/lmm/lmm.h"

namespace retain::models {

/// Collective over a replica: every rank passes the same batch (tiles needed on the first pipeline stage only). Returns the
/// hidden states before the final norm [T, H] on the last pipeline stage, an undefined tensor elsewhere. With `cache` it is a
/// step of incremental decoding and returns one row a sequence (Lmm::forward_cached).
at::Tensor forward_through_pipeline(Lmm& model, const MicroBatch& batch, KvCache* cache = nullptr);

}  // namespace retain::models
