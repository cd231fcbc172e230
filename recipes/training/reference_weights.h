// SPDX-License-Identifier: Apache-2.0
// The weights a method compares with, beside the model that is trained.
#pragma once
#include "recipes/methods/method.h"

namespace retain::recipes {

/// Collective over the model's mesh: the reference's parameters of this rank. Those that differ from the model's, or are going
/// to (`start.selected`), have memory of their own; all others are the model's own memory. Throws what reading throws.
parallel::ParameterSet reference_weights(const MethodStart& start);

}  // namespace retain::recipes
