// SPDX-License-Identifier: Apache-2.0
// Looking inside: logits, losses and gradients of given samples as whole tensors, on any mesh.
// Shape suffixes: S tokens of one sample, V vocabulary.
#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <span>
#include <string>
#include <vector>

#include "models/lmm/lmm.h"

namespace retain::recipes {

struct SampleView {
  at::Tensor logits_SV;  ///< float32
  double loss = 0;       ///< mean cross-entropy over the sample's supervised tokens
};

/// Collective over the model's replica; the results are the same on all its ranks. Image tiles are needed on the first
/// pipeline stage only.
std::vector<SampleView> view_samples(models::Lmm& model, std::span<const models::Sample> samples);

/// Collective over the model's mesh: gradients of the mean of the samples' losses by canonical name, float32, of
/// global shape, zeros where the loss does not reach. Leaves exactly these parameters trainable.
std::map<std::string, at::Tensor> gradients_of(models::Lmm& model, std::span<const models::Sample> samples,
                                               const std::vector<std::string>& names);

}  // namespace retain::recipes
