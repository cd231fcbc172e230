// SPDX-License-Identifier: Apache-2.0
// What a model computes at some positions of micro-batches, without training on them. K: positions of a micro-batch, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "models/lmm/lmm.h"

namespace retain::recipes {

/// Collective over one replica: forward passes without autograd through all its pipeline stages. By micro-batch, on the last
/// pipeline stage, the hidden states [K,H] before the final norm at the rows `rows_K` (int64) of its packed tokens; undefined
/// elsewhere. `model.local_logits(hidden_KH, arange(K))` makes logits of them.
std::vector<at::Tensor> hidden_at(models::Lmm& model, std::span<const models::MicroBatch> batches, const std::vector<at::Tensor>& rows_K);

}  // namespace retain::recipes
