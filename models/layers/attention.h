// SPDX-License-Identifier: Apache-2.0
// Softmax attention over packed sequences. Shape suffixes: T packed tokens, N query heads, K key-value heads, D head size.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/parameter.h"

namespace retain::models {

/// Query heads [query_begin, query_begin + keys · group) share key-value heads [key_begin, key_begin + keys), `group` each.
struct HeadRun {
  std::int64_t query_begin = 0;
  std::int64_t key_begin = 0;
  std::int64_t keys = 0;
  std::int64_t group = 0;
};

/// The heads of one tensor rank. Global query head h uses key-value head h / (query heads / key-value heads).
struct LocalHeads {
  parallel::Range query;      ///< global query heads here (parallel::even_share)
  parallel::Range key_value;  ///< global key-value heads they use
  std::vector<HeadRun> runs;  ///< the same in local numbers; a group cut by a rank boundary is a run of its own
};

/// Query heads are cut evenly over `parts` ranks; a key-value head used by two ranks is held by both.
LocalHeads local_heads(std::int64_t query_heads, std::int64_t key_value_heads, int parts, int part);

/// softmax(q·kᵀ/√D)·v within each sequence [starts[i], starts[i+1]); `causal`: a token sees itself and what precedes it.
/// Returns [T,N,D]. Key-value heads are not copied per query head. float32 or bfloat16. Differentiable; memory is linear
/// in T (flash attention, Dao et al. 2022, ATen's CPU kernel).
at::Tensor packed_attention(const at::Tensor& q_TND, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                            const std::vector<HeadRun>& runs, const std::vector<std::int64_t>& starts, bool causal);

/// Attention of new tokens to a longer history of the same sequence: q_TND are the last T of the S positions of k_SKD and
/// v_SKD. No gradient.
at::Tensor continued_attention(const at::Tensor& q_TND, const at::Tensor& k_SKD, const at::Tensor& v_SKD,
                               const std::vector<HeadRun>& runs);

}  // namespace retain::models
