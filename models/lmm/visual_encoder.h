// SPDX-License-Identifier: Apache-2.0
// A family's way from pixels to visual tokens, in two steps: the vision tower, whose frozen results are reused
// (models/lmm/image_features.h), and what follows it. Shape suffixes: H decoder's hidden size, I visual tokens.
#pragma once
#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "models/lmm/batch.h"

namespace retain::models {

class VisualEncoder {
 public:
  virtual ~VisualEncoder() = default;

  /// The tower's features of each image, in a shape of the family's own. They depend on parameters "vision.*" alone, and an
  /// image's features not on the other images.
  virtual std::vector<at::Tensor> tower(std::span<const ImageInput> images) const = 0;

  /// Visual tokens [I,H] of all images in order, from their features.
  /// Throws Error(data_invalid, data_image_count) where an image does not fit the model.
  virtual at::Tensor tokens(std::span<const at::Tensor> features, std::span<const ImageInput> images) const = 0;
};

}  // namespace retain::models
