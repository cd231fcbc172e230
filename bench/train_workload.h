// SPDX-License-Identifier: Apache-2.0
// A workload of the comparison with other programs: a model's configuration and samples that both sides read.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/lmm/batch.h"
#include "models/lmm/config.h"

namespace retain::bench {

/// NAME.json and the config.json it names. Pictures are the bytes of a splitmix64 stream seeded with 1000 + the image's
/// side, normalised as (byte / 255 - 0.5) / 0.5.
struct Workload {
  models::LmmConfig config;
  std::int64_t micro_batch = 0;
  std::vector<models::Sample> samples;
};

Workload read_workload(const std::filesystem::path& folder, const std::string& name);

/// Floating-point operations of the matrix products that one training step over `samples` cannot do without: products
/// of linears once forward, once more where their input needs a gradient, once more where their weight is trained;
/// causal attention (four products more in its backward pass); logits at the answers alone; a frozen vision tower and
/// projector forward only. `recipe` is llm, sa_proj or mlp_gate_up.
double useful_operations(const models::LmmConfig& config, const std::vector<models::Sample>& samples,
                         const std::string& recipe);

/// Operations per second of this process's matrix products on the shapes of a training step over `tokens` tokens:
/// forward, input and weight gradients of every linear of the decoder and the head, weighted as a step has them.
double product_limit(const models::LmmConfig& config, at::ScalarType type, std::int64_t tokens);

}  // namespace retain::bench
