// SPDX-License-Identifier: Apache-2.0
// The base model beside another one of the same run, in the memory that they share.
#pragma once
#include <memory>
#include <set>
#include <string>

#include "framework/store/tensor_source.h"
#include "models/lmm/lmm.h"
#include "recipes/study/model_kit.h"

namespace retain::recipes {

/// Collective over the model's mesh. `began`: the stage whose weights `model` holds but for the parameters in `changed`. Tensors
/// that may differ from `base`'s (by digest, or because they are in `changed`) are read from there into memory of their own, all
/// others are the model's. `model` outlives the result and is not to be changed while it lives. Throws what reading throws.
std::unique_ptr<models::Lmm> base_beside(models::Lmm& model, const ModelKit& kit, const framework::TensorSource& base,
                                         const framework::TensorSource& began, const std::set<std::string>& changed);

}  // namespace retain::recipes
