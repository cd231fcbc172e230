// SPDX-License-Identifier: Apache-2.0
// Formulas: transformers 5.23 `LlavaOnevisionModel.pack_image_features` and `apply_pooling`. g: patches along a side of
// a tile; h, w: map.
#include "models/llava/arrange.h"

#include "framework/base/error.h"
#include "framework/image/anyres.h"
#include "models/llava/pictures.h"

namespace retain::models::llava {
namespace {

using framework::AnyresPlan;
using framework::Error;
using framework::ErrorKind;

void require_equal(const char* what, std::int64_t expected, std::int64_t found, const ImageInput& image) {
  if (expected == found) return;
  throw Error(ErrorKind::data_image_count,
              {std::string("an image of ") + std::to_string(image.height) + " x " + std::to_string(image.width) +
                   " pixels has another number of " + what + " than the model gives it",
               std::to_string(expected), std::to_string(found),
               "prepare images with the model's own preprocessor_config.json and config.json"});
}

/// The tiles' patches as one picture, without padding: [h,w,H].
at::Tensor join_tiles(const at::Tensor& features_NPH, const AnyresPlan& plan, std::int64_t grid) {
  const std::int64_t hidden = features_NPH.size(2);
  return features_NPH.narrow(0, 1, plan.rows * plan.cols)
      .reshape({plan.rows, plan.cols, grid, grid, hidden})
      .permute({0, 2, 1, 3, 4})
      .reshape({plan.grid_height, plan.grid_width, hidden})
      .slice(0, plan.row_begin, plan.row_end)
      .slice(1, plan.column_begin, plan.column_end);
}

at::Tensor reduce_map(const at::Tensor& map_hwH, framework::Resolution size) {
  const at::Tensor picture_1Hhw = map_hwH.permute({2, 0, 1}).unsqueeze(0);
  return at::upsample_bilinear2d(picture_1Hhw, {size.first, size.second}, false).squeeze(0).permute({1, 2, 0});
}

/// `get_video_features` of the same file: each frame's map reduced, all frames in order, then one newline.
at::Tensor pool_frames(const at::Tensor& features_NPH, const at::Tensor& newline_H, std::int64_t grid,
                       std::int64_t side) {
  const std::int64_t frames = features_NPH.size(0), hidden = features_NPH.size(2);
  const at::Tensor maps_NHgg = features_NPH.reshape({frames, grid, grid, hidden}).permute({0, 3, 1, 2}).contiguous();
  const at::Tensor pooled_IH =
      at::upsample_bilinear2d(maps_NHgg, {side, side}, false).permute({0, 2, 3, 1}).reshape({-1, hidden});
  return newline_H.defined() ? at::cat({pooled_IH, newline_H.unsqueeze(0)}) : pooled_IH;
}

}  // namespace

std::int64_t pooled_side(const LmmConfig& config) {
  return (config.vision.grid() + 1) / 2;
}

at::Tensor arrange_visual_tokens(const at::Tensor& features_NPH, const at::Tensor& newline_H, const ImageInput& image,
                                 const LmmConfig& config) {
  const std::int64_t grid = config.vision.grid(), hidden = features_NPH.size(2);
  if (image.frames > 0) {
    require_equal("frames", features_NPH.size(0), image.frames, image);
    return pool_frames(features_NPH, newline_H, grid, pooled_side(config));
  }
  if (features_NPH.size(0) == 1) {
    const bool closed = newline_H.defined() && image.tokens == grid * grid + 1;
    require_equal("visual tokens", grid * grid + (closed ? 1 : 0), image.tokens, image);
    return closed ? at::cat({features_NPH[0], newline_H.unsqueeze(0)}) : features_NPH[0];
  }
  const AnyresPlan plan = framework::plan_anyres(image.height, image.width, anyres_settings(config));
  require_equal("tiles", plan.tiles(), features_NPH.size(0), image);
  require_equal("visual tokens", plan.tokens, image.tokens, image);
  at::Tensor map_hwH = join_tiles(features_NPH, plan, grid);
  if (plan.reduced) map_hwH = reduce_map(map_hwH, *plan.reduced);
  if (newline_H.defined()) map_hwH = at::cat({map_hwH, newline_H.expand({map_hwH.size(0), 1, hidden})}, 1);
  return at::cat({features_NPH[0], map_hwH.flatten(0, 1)});
}

}  // namespace retain::models::llava
