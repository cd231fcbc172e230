// SPDX-License-Identifier: Apache-2.0
// What each attention and MLP block contributes to the logits, against the base (arXiv 2510.08564, layer-contribution delta).
#pragma once
#include "framework/base/json.h"
#include "recipes/probes/probe_input.h"

namespace retain::recipes {

/// Collective over the model's mesh; `input.base` is needed. h is what a block adds to the residual stream, W the head (the final norm
/// is passed over): ‖W h − W₀ h₀‖₂ at the supervised tokens' own positions (not those that predict them), mean over a caption's, then
/// over captions. `attention`, `mlp`: one figure a layer; `value`: their mean. Logits are never made: with δ = h − h₀ and D = W − W₀
/// the square is δᵀ(WᵀW)δ + 2 δᵀ(WᵀD)h₀ + h₀ᵀ(DᵀD)h₀, of three hidden × hidden matrices in float64.
/// `input.faithful`: the rows that the released code reads: its labels are in positions where a picture is one token, its h is not
/// (LMM_CL, scripts/analysis/layer_contribution_delta_analysis.py: `labels.ne(IGNORE_INDEX)`, not shifted).
framework::json::object layer_delta(const ProbeInput& input);

}  // namespace retain::recipes
