// SPDX-License-Identifier: Apache-2.0
// How probable the tokens of a set are, along fixed captions or while the model writes its own text: the paper's counting-bias
// probe (arXiv 2510.08564; released code's scripts/analysis/output_logit_single_model_inference.py), for any vocabulary.
#pragma once
#include <cstdint>
#include <vector>

#include "framework/base/json.h"
#include "recipes/probes/probe_input.h"

namespace retain::recipes {

struct TokenBias {
  std::vector<std::int64_t> ids;      ///< of the set, ascending
  bool generated = false;             ///< over the steps of a greedy answer to each record's first question, the end token's included;
                                      ///< else over the supervised positions of the captions
  std::int64_t max_new_tokens = 256;
};

/// Collective over the model's mesh. At every position: total and highest probability of the set's tokens, and their highest logit;
/// of each the mean and the maximum over a sample's positions; of these, mean and (population) deviation over samples:
/// `total_probability`, `maximum_probability`, `maximum_logit`, each with `mean` and `maximum`, each with `mean` and `deviation`.
/// `tokens`: id, text and mean probability of each. `value` = total_probability.mean.mean, the paper's headline figure.
framework::json::object token_bias(const ProbeInput& input, const TokenBias& settings);

}  // namespace retain::recipes
