// SPDX-License-Identifier: Apache-2.0
// Generation, greedy or sampled, under any mesh. Shape suffixes: B sequences still being generated, V vocabulary.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "models/lmm/lmm.h"
#include "models/sampling.h"

namespace retain::models {

/// Sees the logits that choose each token, on the ranks of the last pipeline stage. `logits_BV`: float32, whole vocabulary;
/// `sequences`: which prompt each row belongs to; `step`: 0 for the first new token.
using LogitsObserver =
    std::function<void(const at::Tensor& logits_BV, const std::vector<std::size_t>& sequences, std::int64_t step)>;

/// Whether a prompt's new ids so far are enough (a stop string was said). Asked on every rank, with the same answer.
using EnoughSaid = std::function<bool(const std::vector<std::int64_t>& ids)>;

struct GenerateOptions {
  std::int64_t max_new_tokens = 16;
  std::vector<std::int64_t> eos_tokens;  ///< a sequence ends after any of these, which is its last id; empty: the model's own
  bool ignore_eos = false;               ///< go on to max_new_tokens
  std::int64_t batch_size = 8;           ///< prompts computed together; changes time and memory only
  Sampling sampling;                     ///< greedy unless it has a temperature; a prompt's draws depend on seed and its index
  EnoughSaid enough;                     ///< may be empty
  LogitsObserver observer;               ///< may be empty; the logits are gathered only when it is not
};

/// The new ids of every prompt (labels are ignored), in order, the same on all ranks of a replica. Prompts are packed without
/// padding, each later step computes one token a sequence. All ranks of a replica call it with the same prompts; image tiles
/// are needed on the first pipeline stage only. Throws Error(data_invalid) for an empty prompt.
std::vector<std::vector<std::int64_t>> generate(Lmm& model, const std::vector<Sample>& prompts, const GenerateOptions& options);

}  // namespace retain::models
