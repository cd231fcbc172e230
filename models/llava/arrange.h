// SPDX-License-Identifier: Apache-2.0
// From the projected features of an image's tiles to its visual tokens in reading order (LLaVA's "spatial_unpad" merge).
// Shape suffixes: N tiles, P patches a tile, H hidden, I visual tokens.
#pragma once
#include <ATen/core/Tensor.h>

#include "models/lmm/batch.h"
#include "models/lmm/config.h"

namespace retain::models::llava {

/// Visual tokens along a side of a video's frame: half as many as patches, rounded up.
std::int64_t pooled_side(const LmmConfig& config);

/// Tokens [I,H] of one image: those of the base tile, then the tiles' map without padding, reduced bilinearly where it
/// exceeds the limit, with `newline_H` after each row (undefined: none). An image of one tile is its base tokens, with
/// one newline if image.tokens counts it. A video's frames are reduced bilinearly to pooled_side() and follow one
/// another, with one newline at the end. Differentiable in both tensors. Throws Error(data_image_count) when the tiles
/// or the result do not agree with the image's size and token count.
at::Tensor arrange_visual_tokens(const at::Tensor& features_NPH, const at::Tensor& newline_H, const ImageInput& image,
                                 const LmmConfig& config);

}  // namespace retain::models::llava
