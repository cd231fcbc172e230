// SPDX-License-Identifier: Apache-2.0
// How far a model's next-token distributions on fixed captions are from the base's.
#pragma once
#include "framework/base/json.h"
#include "recipes/probes/probe_input.h"

namespace retain::recipes {

/// Collective over the model's mesh; `input.base` is needed. At every supervised position KL(base ‖ model) in nats over the whole
/// vocabulary, and whether both hold the same token most likely; means over a caption's positions, then over captions: `value` and
/// `kl_divergence`, and `top1_agreement` (0 to 1). Logits stay cut over the tensor group.
framework::json::object output_distance(const ProbeInput& input);

}  // namespace retain::recipes
