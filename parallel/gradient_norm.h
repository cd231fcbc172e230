// SPDX-License-Identifier: Apache-2.0
// The gradient norm over all mesh axes, every element of the model counted once, and the search for what is not finite.
#pragma once
#include <string>
#include <vector>

#include "parallel/data_parallel.h"

namespace retain::parallel {

/// This rank's part of the squared norm: summed over all ranks of the world it is the square of the 2-norm of the reduced
/// gradients. Replicated parameters count on tensor rank 0, rows shared by several tensor ranks on the first of them, a
/// tied embedding on the pipeline stage that owns it, unsharded pieces on data rank 0.
double squared_norm_part(const Gradients& gradients, const std::vector<GradientPiece>& pieces, bool sharded, const Mesh& mesh);

/// torch.nn.utils.clip_grad_norm_: min(1, limit / (norm + 1e-6)); 1 where limit is 0 (no clipping).
double clip_coefficient(double norm, double limit);

/// Names of the parameters with a NaN or infinity among this rank's pieces, in table order.
std::vector<std::string> non_finite_names(const Gradients& gradients, const std::vector<GradientPiece>& pieces);

}  // namespace retain::parallel
