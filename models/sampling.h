// SPDX-License-Identifier: Apache-2.0
// Drawing the next token from its distribution. Shape suffix: V vocabulary.
#pragma once
#include <cstdint>
#include <span>

#include "framework/base/random.h"

namespace retain::models {

struct Sampling {
  double temperature = 0;   ///< 0: greedy, the most likely token
  std::int64_t top_k = 0;   ///< only the k most likely; 0: all
  double top_p = 1;         ///< only the fewest most likely tokens whose probabilities reach this (Holtzman et al. 2020)
  std::uint64_t seed = 0;
  bool greedy() const { return temperature <= 0; }
};

/// One id, drawn with one value of `random` from softmax(logits_V / temperature), cut to top_k, then to top_p, as transformers
/// does in that order. Equal logits are taken in the order of their ids.
std::int64_t sample_token(std::span<const float> logits_V, const Sampling& sampling, framework::Random& random);

}  // namespace retain::models
