// SPDX-License-Identifier: Apache-2.0
// Softmax attention over packed sequences. Shape suffixes: T packed tokens, B sequences, N query heads, K key-value heads, D head size.
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

/// Attention of the last token of each of B sequences to all S places of its own: q_BND, k_BSKD, v_BSKD. `filled` (bool
/// [B,1,1,S], undefined for all) says which places hold a token. No gradient.
at::Tensor last_token_attention(const at::Tensor& q_BND, const at::Tensor& k_BSKD, const at::Tensor& v_BSKD,
                                const std::vector<HeadRun>& runs, const at::Tensor& filled);

}  // namespace retain::models
