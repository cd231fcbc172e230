// SPDX-License-Identifier: Apache-2.0
#include "models/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace retain::models {

std::int64_t sample_token(std::span<const float> logits_V, const Sampling& sampling, framework::Random& random) {
  std::vector<std::int64_t> ids(logits_V.size());
  std::iota(ids.begin(), ids.end(), std::int64_t{0});
  const auto logit = [&](std::int64_t id) { return logits_V[static_cast<std::size_t>(id)]; };
  std::stable_sort(ids.begin(), ids.end(), [&](std::int64_t a, std::int64_t b) { return logit(a) > logit(b); });
  if (sampling.top_k > 0) ids.resize(std::min(ids.size(), static_cast<std::size_t>(sampling.top_k)));

  std::vector<double> weights;
  for (const std::int64_t id : ids)
    weights.push_back(std::exp((static_cast<double>(logit(id)) - static_cast<double>(logit(ids.front()))) / sampling.temperature));
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double kept = 0;
  std::size_t count = 0;
  while (count < weights.size() && (count == 0 || kept < sampling.top_p * total)) kept += weights[count++];

  double left = random.uniform() * kept;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    left -= weights[i];
    if (left < 0) return ids[i];
  }
  return ids[count - 1];
}

}  // namespace retain::models
